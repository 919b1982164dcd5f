"""Wishes for lines: `corrections` checked, takes and voices `settled`, `pronunciation`."""
