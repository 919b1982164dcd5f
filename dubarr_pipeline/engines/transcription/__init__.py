"""What is said: `subtitles` as written, `faster_whisper` by ear (its child is `whisper_work`)."""
