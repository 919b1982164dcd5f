"""Dubbing's arithmetic: plain Python and numpy/scipy, no files, no processes, no models."""
