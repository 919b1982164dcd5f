"""Speakers, on the page and its own server together."""

from __future__ import annotations

import pytest

from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline_tests.fixtures.review_film import KEY
from dubarr_pipeline_tests.fixtures.review_page import shown

pytestmark = pytest.mark.slow


def test_two_speakers_become_one_whose_name_a_person_picks(room: ReviewRoom):
    with shown(room) as page:
        page.click("Speakers …")
        page.read("document.querySelector('dialog td button').click()")
        page.click("Next")
        page.wait("document.body.innerText.includes('Whose name and voice stay?')")
        answers = "[...[...document.querySelectorAll('dialog')].at(-1).querySelectorAll('button')]"
        words = page.read(f"{answers}.map(each => each.innerText)")
        assert len(words) == 3
        page.click(next(each for each in words if "SPEAKER_01" in each))
        page.wait("review.store.film.speakers.length === 1")
        page.wait("new Set(review.store.lines.map(line => line.speaker)).size === 1")
        work = room.video(KEY).work(room.settings.work_dir)
        (fact,) = read_edits_document(work, "en").facts
        assert (fact.target_id, fact.value) == ("SPEAKER_01", {"with": ["SPEAKER_00"]})
        page.press("Escape")
        page.press("Ctrl+z")
        page.wait("review.store.film.speakers.length === 2")
