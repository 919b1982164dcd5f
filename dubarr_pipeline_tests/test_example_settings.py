from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

from dubarr_pipeline.example_settings import example_settings
from dubarr_pipeline.settings import SECTIONS, load_settings

EXAMPLE = Path(__file__).resolve().parents[1] / "dubarr.example.toml"


def uncommented(text: str) -> str:
    """The example with every setting switched on, those without a default left out."""
    return re.sub(r"^# (\w+ = (?!\(not set\)).+)$", r"\1", text, flags=re.M)


def test_the_example_is_what_the_code_says() -> None:
    assert EXAMPLE.read_text() == example_settings(), "run `make example`"


def test_the_example_as_it_stands_changes_nothing(tmp_path: Path) -> None:
    plain, example = load_settings(Path("/dev/null")), load_settings(EXAMPLE)
    for section in SECTIONS:
        assert example.options(section) == plain.options(section)


def test_every_default_in_the_example_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "dubarr.toml"
    path.write_text(uncommented(EXAMPLE.read_text()))
    written = tomllib.loads(path.read_text())
    assert sum(len(table) for table in written.values() if isinstance(table, dict)) > 60
    plain, full = load_settings(Path("/dev/null")), load_settings(path)
    for section in SECTIONS:
        assert full.options(section) == plain.options(section), section


def test_every_setting_is_explained() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"# \w+ = ", line):
            assert before.startswith("# "), f"no word on {line!r}"
            assert not re.match(r"# \w+ = ", before), f"no word on {line!r}"
