"""Translators: `lite` (`subtitles`, then `apertium`, then `phrasebook`), `m2m100`, `openai`.

What a model's answer may not be stands in `reply_faults`.
"""
