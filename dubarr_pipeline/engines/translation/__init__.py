"""Translators: `lite` (`subtitles`, else `apertium` with its `phrasebook`), `m2m100`, `openai`.

What a model's answer may not be stands in `reply_faults`.
"""
