"""A video's work folder: its layout, its artifacts, and which of them are still valid."""
