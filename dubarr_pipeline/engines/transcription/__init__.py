"""Transcription: from `subtitles`, or by `faster_whisper` (in its child, `whisper_worker`).

`whisper_codes` are the names that Whisper has for languages.
"""
