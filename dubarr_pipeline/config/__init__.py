"""From `dubarr.toml` to checked settings, and to the engines of a profile."""
