"""Speakers: voices measured, clustered, named and matched to lines."""
