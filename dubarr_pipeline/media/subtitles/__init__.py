"""Subtitle files and streams: listed, decoded, parsed, written."""
