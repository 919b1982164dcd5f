"""A settings document: TOML as tables, with every setting under its name of today."""

import logging
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import SettingsError

_log = logging.getLogger(__name__)

_TEMPO = {
    "verdict": ("shorter", "longer", "slowest", "fastest", "gentle_slow", "gentle_fast"),
    "placement": ("shorter", "longer", "slowest", "fastest"),
}
RENAMED: Mapping[str, str] = {
    "production": "segments",
    **{
        f"segments.{old}.{n}": f"segments.tempo.{n}" for old, names in _TEMPO.items() for n in names
    },
}
"""Old name of a setting or section -> its name today; the old one is still read."""
REMOVED: Mapping[str, str] = {"segments.verdict.takes": "segments.max_takes"}
"""A setting that never had an effect -> the one that has it; the old one is accepted."""

_MAX_BYTES, _MAX_DOTS = 4 << 20, 1_000
"""The parser takes the square of a dotted name's parts, in time and in memory."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a settings file. Raises `SettingsError` if it cannot be read, or is not TOML."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SettingsError(f"settings file {str(path)!r} has more than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
            raise SettingsError(f"settings file {str(path)!r} has a line of over {_MAX_DOTS} dots")
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {str(path)!r} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings file {str(path)!r} is not TOML: {error}") from error


def with_current_names(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a copy of a document in which no setting has an old name; warn of those that had."""
    current = _copied(document)
    for old in (*RENAMED, *REMOVED):
        value = _pop(current, old.split("."))
        if value is None:
            continue
        if old in RENAMED:
            _warn_once(f"{where}: {old} is now called {RENAMED[old]}: rename it")
            current = merged(nested(RENAMED[old], value), current)
        else:
            _warn_once(f"{where}: {old} has no effect: remove it, and see {REMOVED[old]}")
    return current


def _pop(table: dict[str, Any], path: Sequence[str]) -> Any:
    """Remove a value, and the tables that this leaves empty; return it, or None."""
    name, *rest = path
    inner = table.get(name)
    if not rest:
        return table.pop(name, None)
    value = _pop(inner, rest) if isinstance(inner, dict) else None
    if value is not None and not inner:
        del table[name]
    return value


@cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)


def _copied(document: Mapping[str, Any], depth: int = 4) -> dict[str, Any]:
    """Return a copy of the tables that hold settings; no setting is nested deeper than four."""
    return {
        name: _copied(value, depth - 1) if depth > 1 and isinstance(value, Mapping) else value
        for name, value in document.items()
    }


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """Return a document that holds one value: ``a.b`` and 1 make ``{"a": {"b": 1}}``."""
    for name in reversed(dotted.split(".")):
        value = {name: value}
    return value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with another's values on top, table by table."""
    result = dict(base)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        result[name] = merged(base[name], value) if both else value
    return result
