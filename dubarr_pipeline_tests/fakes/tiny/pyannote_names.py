"""What the tests know of the tiny pyannote models without importing PyTorch."""

MOST_AT_ONCE = "DUBARR_TINY_PYANNOTE_BATCH"
"""A larger batch than this variable says is out of memory, as on a full GPU."""
