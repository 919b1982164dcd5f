"""Diarization: `cue_clusters` by the subtitles' cues, `pyannote` by a network."""
