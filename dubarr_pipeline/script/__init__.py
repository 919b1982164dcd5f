"""The script of a film: segments, speakers and context."""
