"""Transcription: from `subtitles`, or by `faster_whisper` (in its child, `whisper_worker`)."""
