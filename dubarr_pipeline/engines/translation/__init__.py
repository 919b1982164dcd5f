"""Translators: `lite` (subtitles, else `apertium`), `m2m100`, `openai`.

`reply_checks` refuses a model's invalid answers.
"""
