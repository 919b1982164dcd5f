"""The pages for people: the decisions are numbered, the words stand in the glossary once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_decisions_are_numbered_without_gap_or_double() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page.name


def test_every_word_has_one_row_in_the_glossary() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.M)
    words = Counter(word.strip(" *") for row in rows[2:] for word in re.split(r"[/,]", row))
    assert len(words) > 60
    assert [word for word, times in words.items() if times > 1] == []


def test_every_folder_says_what_is_in_it() -> None:
    for page in (ROOT / "dubarr_pipeline").rglob("__init__.py"):
        assert page.read_text(encoding="utf-8").startswith('"""'), page


def test_what_the_readme_names_is_there() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where to look")[2]
    named = [word for word in re.findall(r"`([\w./]+)`", table) if "/" in word or ".py" in word]
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "dubarr_pipeline" / name).exists(), name
