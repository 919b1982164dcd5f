"""Voices: `espeak` and `tone` in this process, `openai` and `xtts` behind a server."""
