"""Every numeric setting, of every section and engine, has a range that is held by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from math import inf, nan
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from dubarr_pipeline.cli.main import main
from dubarr_pipeline.config.document import nested
from dubarr_pipeline.config.libraries import Library, RescanOptions
from dubarr_pipeline.config.ranges import NUMBERS, range_of
from dubarr_pipeline.config.settings import ENGINE_SECTIONS, OPTION_TYPES, parse_settings
from dubarr_pipeline.engines.registry import option_type_of, own_engines
from dubarr_pipeline.errors import SettingsError

LIBRARY = {"path": "/films", "target_langs": ["es"]}
RESCAN = {"kind": "plex", "url": "http://127.0.0.1", "token_variable": "KEY"}


def numeric(options: Any, dotted: str) -> Iterator[tuple[str, bool]]:
    """Yield every numeric setting of a dataclass, and whether it holds whole numbers alone."""
    types = get_type_hints(options)
    for each in fields(options):
        kind = types[each.name]
        if is_dataclass(kind):
            yield from numeric(kind, f"{dotted}.{each.name}")
        elif found := NUMBERS & {kind, *get_args(kind)}:
            yield f"{dotted}.{each.name}", found == {int}


def every_number() -> list[tuple[str, bool, dict[str, Any]]]:
    """All numeric settings: name, whole numbers alone, and the tables that they need beside."""
    found = [(*each, {}) for name, kind in OPTION_TYPES.items() for each in numeric(kind, name)]
    for section, kind in ENGINE_SECTIONS.items():
        for row in own_engines():
            if row.kind == kind and (options := option_type_of(kind, row.name)):
                tables = {section: {"engine": row.name}}
                found += [(*each, tables) for each in numeric(options, section)]
    found += [(*each, {"libraries": {"x": LIBRARY}}) for each in numeric(Library, "libraries.x")]
    return found + [
        (*each, {"rescans": {"x": RESCAN}}) for each in numeric(RescanOptions, "rescans.x")
    ]


NUMERIC = every_number()


def document(dotted: str, value: object, tables: dict[str, Any]) -> dict[str, Any]:
    """Return a document with one setting on top of the tables that it needs."""
    top, _, rest = dotted.partition(".")
    table: dict[str, Any] = {**tables.get(top, {})}
    if top in ("libraries", "rescans"):
        name, _, rest = rest.partition(".")
        return {top: {name: {**table[name], **nested(rest, value)}}}
    return {**tables, top: {**table, **nested(rest, value)}}


def test_every_numeric_setting_has_a_range() -> None:
    assert len(NUMERIC) > 150
    assert [name for name, _, _ in NUMERIC if range_of(name) is None] == []


@pytest.mark.parametrize(("name", "whole", "tables"), NUMERIC, ids=lambda each: str(each))
def test_what_no_range_holds_is_refused_by_name(
    name: str, whole: bool, tables: dict[str, Any]
) -> None:
    low, high = range_of(name) or (0, 0)
    beyond = [low - 1, high + 1] if whole else [low - 1e-3, low - 1, high + 1e-3, high * 10 + 1]
    for value in (nan, inf, -inf, 1e300, -1e300, 10**400, *beyond):
        with pytest.raises(SettingsError, match=name.rpartition(".")[2]):
            parse_settings(document(name, value, tables))


def test_both_ends_of_every_range_are_taken_or_contradict_another_setting() -> None:
    told = ""
    for name, whole, tables in NUMERIC:
        for value in range_of(name) or ():
            try:
                parse_settings(document(name, int(value) if whole else value, tables))
            except SettingsError as error:
                told += f"{error}\n"
    contradictions = [line for line in told.splitlines() if "must be" in line or "below" in line]
    assert contradictions == told.splitlines()
    assert len(contradictions) < 40


@pytest.mark.parametrize("written", ["nan", "inf", "-1.0", "1e30"])
def test_the_program_ends_with_2_before_any_work(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dubarr.toml").write_text(f"[mix.ducking]\ndepth_db = {written}\n")
    film = tmp_path / "film.mkv"
    film.write_bytes(b"")
    asked = ["dub", str(film), "--to", "es", "--config", str(tmp_path / "dubarr.toml")]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--work-dir", str(tmp_path / "work")])
    assert ended.value.code == 2
    assert "mix.ducking.depth_db" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
