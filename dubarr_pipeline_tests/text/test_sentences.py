"""Ends of sentences."""

import pytest

from dubarr_pipeline.text.sentences import continues, ends_sentence, sentence_starts


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("No.", True),
        ("I said no.", True),
        ("I saw Mr.", False),
        ("It's 5 p.m.", False),
        ("Wait...", False),
        ("Wait", False),
        ("“Go!”", True),
    ],
)
def test_where_a_sentence_ends(text: str, ends: bool):
    assert ends_sentence(text) is ends


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        ("No.", "That makes no sense.", False),
        ("He lives at No.", "5, Baker Street.", True),
        ("This is Mr.", "Lane.", True),
        ("We hoped", "that you could tell us.", True),
    ],
)
def test_what_goes_on(before: str, after: str, goes_on: bool):
    assert continues(before, after) is goes_on


def test_no_before_a_number_begins_no_sentence():
    assert sentence_starts("Take No. 5. No. Come with me.".split()) == [3, 4]
