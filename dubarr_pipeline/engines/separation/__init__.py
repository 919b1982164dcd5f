"""Separation of speech from everything else: `lite` without a model, `demucs` with one.

Both look for voices where `dialogue` locates them. `lite` applies `masks` measured against
`pauses`; `demucs` reads the `film` in `windows`, resumes from finished ones, and runs
`demucs_worker` in its child process. `stems` writes both stems.
"""
