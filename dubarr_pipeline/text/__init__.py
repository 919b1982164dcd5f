"""Written language: names of languages, sentences, syllables, and text made ready to be spoken."""
