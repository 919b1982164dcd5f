"""Tables of thousands of videos, for which Dagster is not loaded.

`results` are checkpoints, `rows` what `dubarr status` shows of them, `plans` what a run would do.
`store_files` reads the SQLite files of a store, and `quiet` tells the rows of all videos that no
run has anything to do with.
"""
