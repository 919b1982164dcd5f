"""Translators: `lite` (subtitles, else `apertium`), `bergamot`, `m2m100`, `openai`.

`bergamot` computes its models in `marian`; what it shares with `m2m100` is in `sentence_model`.

`reply_checks` refuses a model's invalid answers.
"""
