"""Who speaks when: `cue_clusters` by the subtitles' cues, `pyannote` by ear."""
