"""What people want of lines: `corrections` checked, takes and voices `settled`, `pronunciation`."""
