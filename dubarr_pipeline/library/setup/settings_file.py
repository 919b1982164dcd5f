"""The wishes of a person written into the text of ``dubarr.toml``; all else stays as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.setup.servers import ServerReport


@dataclass
class SettingsText:
    """The text of a settings file, and in words what was changed in it.

    Attributes:
        changes: in the order in which they were made.
    """

    path: Path
    before: str
    changes: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        try:
            self._document: Any = tomlkit.parse(self.before)
        except (TOMLKitError, ValueError) as error:
            raise SettingsError(f"{self.path} is not TOML ({error}): correct it") from error

    @classmethod
    def read(cls, settings: Settings) -> SettingsText:
        """Return the text of the file that the settings came from, or would. Raises as `open`."""
        path = settings.config_file or Path("dubarr.toml").absolute()
        try:
            return cls(path, path.read_text(encoding="utf-8") if path.exists() else "")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} cannot be read: {error}") from error

    def put(self, path: tuple[str, ...], value: Any, words: str = "") -> None:
        """Set a value, unless it is that already."""
        *tables, name = path
        at: Any = self._document
        for part in tables:
            if part not in at:
                at[part] = tomlkit.table(is_super_table=part in _PARENTS)
            at = at[part]
            if not isinstance(at, dict):
                raise SettingsError(f"{self.path}: {part} is no table: correct it")
        if name in at and at[name] == value:
            return
        at[name] = value
        shown = tomlkit.item(value).as_string()
        self.changes.append(words or f"{'.'.join(path)} = {shown}")

    def get(self, *path: str) -> Any:
        """Return a value, or None."""
        at: Any = self._document
        for name in path:
            at = at.get(name) if isinstance(at, Mapping) else None
        return at

    def text(self, work_dir: Path) -> str | None:
        """Return the new text, once it was read as settings; None if it is as it was."""
        if not self.changes:
            return None
        text = tomlkit.dumps(self._document)
        parse_settings(tomllib.loads(text), work_dir, str(self.path))
        return text


_PARENTS = ("libraries", "rescans")


def put_library(
    file: SettingsText, folder: Path, targets: tuple[str, ...], publish: str, settings: Settings
) -> str:
    """Have a folder be a library with these languages; return its name.

    One that is a library already keeps its name, and its publishing.
    """
    for name, library in settings.libraries.items():
        if library.path == folder:
            if targets and targets != library.target_langs:
                file.put(("libraries", name, "target_langs"), list(targets))
            return name
    base = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "films"
    taken = file.get("libraries") or {}
    name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 999))) if n not in taken)
    file.put(("libraries", name, "path"), str(folder))
    file.put(("libraries", name, "target_langs"), list(targets))
    if publish != "none":
        file.put(("libraries", name, "publish", "mode"), publish)
    return name


def put_mapping(file: SettingsText, name: str, theirs: str, ours: Path) -> None:
    """Have a library know a folder by the name that another program has for it."""
    if (file.get("libraries", name, "path_mappings") or {}).get(theirs) != str(ours):
        file.put(("libraries", name, "path_mappings", theirs), str(ours))


def put_rescan(file: SettingsText, report: ServerReport, ours: Mapping[Path, str]) -> None:
    """Have a media server be told of published films; `ours` are our folders and its names."""
    known = file.get("rescans") or {}
    same = (n for n, t in known.items() if (t.get("kind"), t.get("url")) == _id_of(report))
    names = (report.kind, *(f"{report.kind}-{i}" for i in range(2, 999)))
    name = next(same, None) or next(n for n in names if n not in known)
    file.put(("rescans", name, "kind"), report.kind)
    file.put(("rescans", name, "url"), report.url)
    for folder, theirs in ours.items():
        if str(folder) != theirs:
            file.put(("rescans", name, "path_mappings", str(folder)), theirs)


def _id_of(report: ServerReport) -> tuple[str, str]:
    return report.kind, report.url
