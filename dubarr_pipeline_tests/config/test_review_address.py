"""Links to the review page: to the address that people use, or to the server that runs."""

from __future__ import annotations

import pytest

from dubarr_pipeline.config.options import RUNNING_REVIEW, ReviewOptions
from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.errors import SettingsError


def test_a_link_needs_an_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(RUNNING_REVIEW, raising=False)
    assert ReviewOptions().link("film-1") == ""
    monkeypatch.setenv(RUNNING_REVIEW, "http://127.0.0.1:8766")
    assert ReviewOptions().link("film-1") == "http://127.0.0.1:8766/review/film-1"
    named = ReviewOptions(address="https://dub.example.org/")
    assert named.link("film-1") == "https://dub.example.org/review/film-1"


def test_an_address_is_one_of_the_web():
    with pytest.raises(SettingsError, match="address must begin with http"):
        parse_settings({"review": {"address": "javascript:alert(1)"}})
