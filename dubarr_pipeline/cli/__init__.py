"""The command `dubarr`: one module per group of commands."""
