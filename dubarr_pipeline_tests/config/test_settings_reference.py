from __future__ import annotations

import re
import runpy
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from dubarr_pipeline.config.libraries import LanguageProfile, Library
from dubarr_pipeline.config.settings import OPTION_TYPES, Settings, load_settings
from dubarr_pipeline.engines.registry import option_type_of, own_engines

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "dubarr.example.toml"
WRITER = runpy.run_path(str(ROOT / "scripts" / "write_settings.py"))


def values(settings: Settings) -> Settings:
    """Settings without the document that they came from."""
    return replace(settings, document={}, config_file=None)


def uncommented(text: str) -> str:
    """The example with every setting switched on, those without a default left out."""
    return re.sub(r"^# (\w+ = (?!\(not set\)).+)$", r"\1", text, flags=re.M)


@pytest.mark.parametrize(
    ("path", "write"), [(EXAMPLE, "example"), (ROOT / "docs" / "settings.md", "reference")]
)
def test_the_written_settings_are_those_of_the_code(path: Path, write: str) -> None:
    assert path.read_text(encoding="utf-8") == WRITER[write](), "run `make settings`"


def test_the_example_as_it_stands_changes_nothing(tmp_path: Path) -> None:
    plain, example = load_settings(Path("/dev/null")), load_settings(EXAMPLE)
    assert values(example) == values(plain)


def test_every_default_in_the_example_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "dubarr.toml"
    path.write_text(uncommented(EXAMPLE.read_text()))
    written = tomllib.loads(path.read_text())
    count = sum(len(list(leaves(table))) for table in written.values())
    assert 45 <= count <= 70, "the example is for users; docs/settings.md has every setting"
    plain, full = load_settings(Path("/dev/null")), load_settings(path)
    assert values(full) == values(plain)


def leaves(table: Any) -> Iterator[Any]:
    if not isinstance(table, dict):
        yield table
        return
    for value in table.values():
        yield from leaves(value)


def test_the_reference_has_every_setting() -> None:
    """Every field of every options dataclass, also those of engines that are not chosen."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for option_type in option_types():
        for each in fields(option_type):
            if not is_dataclass(get_type_hints(option_type)[each.name]):
                assert f"| `{each.name}` | " in text, f"{option_type.__name__}.{each.name}"


def test_every_setting_has_a_sentence_of_its_own() -> None:
    for option_type in option_types():
        sentences = WRITER["sentences_of"](option_type)
        named = [f.name for f in fields(option_type) if f.name in sentences]
        plain = [
            f.name
            for f in fields(option_type)
            if not is_dataclass(get_type_hints(option_type)[f.name])
        ]
        assert set(plain) <= set(named), (option_type.__name__, set(plain) - set(named))
        texts = [sentences[name] for name in plain]
        assert len(set(texts)) == len(texts), option_type.__name__
        for text in texts:
            assert text.endswith((".", ")")), (option_type.__name__, text)
            assert not re.search(r"\bsee (above|`[a-z_]+`)|^\.\.\.", text), text


def option_types() -> list[type]:
    """Every dataclass of settings, those within others included."""
    chosen = [option_type_of(row.kind, row.name) for row in own_engines()]
    waiting = [*OPTION_TYPES.values(), *filter(None, chosen), Library, LanguageProfile]
    found: list[type] = []
    while waiting:
        option_type = waiting.pop()
        if option_type not in found:
            found.append(option_type)
            waiting += [t for t in get_type_hints(option_type).values() if is_dataclass(t)]
    return found


def test_every_setting_is_explained() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"# \w+ = ", line):
            assert before.startswith("# "), f"no word on {line!r}"
            assert not re.match(r"# \w+ = ", before), f"no word on {line!r}"
