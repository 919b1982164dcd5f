"""Dubbed tracks added to the film; original streams copied bit for bit, and checked."""
