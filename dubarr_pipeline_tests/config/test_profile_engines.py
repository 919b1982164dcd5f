"""The engines of a profile, and the words about them."""

from __future__ import annotations

import pytest

from dubarr_pipeline.config.profile_engines import voices_for


@pytest.mark.parametrize(
    ("language", "engines"),
    [
        ("es", ("espeak", "kokoro", "supertonic", "xtts")),
        ("sv", ("espeak", "supertonic")),
        ("ca", ("espeak",)),
        ("tlh", ()),
    ],
)
def test_the_voices_that_speak_a_language_are_known_for_messages(
    language: str, engines: tuple[str, ...]
):
    assert voices_for(language) == engines
