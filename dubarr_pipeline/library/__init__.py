"""Videos, what is asked of them, and whether it can be done."""
