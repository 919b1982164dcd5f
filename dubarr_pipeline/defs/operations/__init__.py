"""Running dubarr for years: `health`, `figures` (metrics) and `watch`, which bounds both."""
