"""Demo video: a short scene that the project writes, plays, paints and speaks itself."""
