"""Samples: WAV files, resampling, stretching, loudness, pitch."""
