"""Voices apart from all else: `lite` without a model, `demucs` with one.

Both look for the voices where `dialogue` says that they lie. `lite` masks them by `centre` or
`wiener`, measured against `pauses`; `demucs` hears the film (`film`, `rates`) in `windows`, keeps
the finished ones on a `shelf`, and runs `demucs_model` in its child process. `stems` writes both
stems.
"""
