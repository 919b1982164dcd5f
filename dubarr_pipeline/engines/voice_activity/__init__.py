"""Detection of speech: `silero`; `extract_and_detect` runs it while a film is being extracted."""
