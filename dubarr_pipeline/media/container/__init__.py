"""Containers: probing, choice and extraction of the sound, Matroska headers."""
