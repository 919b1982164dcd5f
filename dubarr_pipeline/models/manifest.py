"""The known models: source, licence and size of each.

`manifest.toml` beside this file names every model of every profile, `bergamot.toml` those of the
translator that has one for each pair of languages. A `models.toml` in the models folder adds
others, or replaces rows, by the same keys. Any other ``owner/name`` is taken for a
repository of the hub, of which nothing is known beforehand.

It states a checksum only where that is surely known; the others are pinned at the first pull:
`docs/decisions/0016-models-are-pinned-at-the-first-pull.md`.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.text.tables import read_table

PAIRED = "bergamot"
"""The table of translation models, and what their names begin with: ``bergamot/en-es``."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHA256_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model, as the manifest describes it.

    Attributes:
        name: how settings and commands call it.
        commercial: whether the licence allows commercial use; None where nobody has said.
        page: where a person reads the licence, or accepts it.
        gated: whether the hub gives it only to accounts that have accepted its conditions.
        repo: the hub's repository; empty for a model that comes from plain addresses.
        revision: branch, tag or commit of the repository.
        files: the files or patterns (`*`) of the repository that are needed.
        urls: addresses of the files of a model that is in no repository. A checksum in a name,
            ``NAME-0123abcd.ext``, is the beginning of its sha256 and must agree.
        texts: small files that are written, not fetched: name -> content.
        sha256: file -> its checksum, where surely known.
        about_mb: rough size in megabytes, shown until the hub has been asked; never relied on.
        vram_gb: rough need of graphics memory at work, in gigabytes; 0 where it needs none.
        family: name of a set of like models, of which people need a few; empty for a single one.
    """

    name: str
    summary: str = ""
    licence: str = "unknown"
    commercial: bool | None = None
    page: str = ""
    gated: bool = False
    repo: str = ""
    revision: str = "main"
    files: tuple[str, ...] = ("*",)
    urls: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])
    about_mb: int = 0
    vram_gb: float = 0.0
    family: str = ""

    def checksum(self, file: str) -> str:
        """Return the sha256 stated by the manifest or the file's name, or its start; else empty."""
        if file in self.sha256:
            return self.sha256[file]
        found = _SHA256_IN_NAME.search(file) if self.urls else None
        return found[1] if found else ""


def find_model(name: str, extra: Path | None = None) -> ModelRow:
    """Find the row of a name of the manifest, of a user's own file, or ``owner/name`` of the hub.

    Raises:
        SettingsError: if it is neither; it lists the choices.
    """
    rows = all_models(extra)
    if name in rows:
        return rows[name]
    if _HUB_NAME.fullmatch(name):
        return ModelRow(name, repo=name, page=f"https://huggingface.co/{name}")
    near = difflib.get_close_matches(name, rows, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    single = ", ".join(row.name for row in rows.values() if not row.family)
    raise SettingsError(
        f"unknown model {name!r}{guess} (choices: {single}; {PAIRED}/en-es and other pairs; "
        "or owner/name of a repository of the hub; or the path of a folder)"
    )


def all_models(extra: Path | None = None) -> dict[str, ModelRow]:
    """Return every model that has a row, by name: the manifest's, then the user's own."""
    own = _read(extra.read_text(encoding="utf-8"), str(extra)) if extra and extra.exists() else {}
    return {**_manifest(), **own}


@cache
def _manifest() -> dict[str, ModelRow]:
    text = resources.files("dubarr_pipeline.models").joinpath("manifest.toml").read_text("utf-8")
    return {**_read(text, "manifest.toml"), **_paired()}


def _paired() -> dict[str, ModelRow]:
    """Return the rows of the translation models that serve one pair of languages each."""
    table = read_table("dubarr_pipeline.models", PAIRED)
    rows: dict[str, ModelRow] = {}
    for pair, facts in table["pairs"].items():
        source, target = pair.split("-")
        name = f"{PAIRED}/{pair}"
        rows[name] = ModelRow(
            name,
            summary=f"translates {source} into {target}, on a CPU",
            licence=table["licence"],
            commercial=True,
            page=table["page"],
            urls=tuple(f"{table['address']}/{facts['folder']}/{file}" for file in facts["sha256"]),
            sha256=facts["sha256"],
            about_mb=facts["about_mb"],
            family=PAIRED,
        )
    return rows


def _read(text: str, where: str) -> dict[str, ModelRow]:
    try:
        tables: Mapping[str, Any] = tomllib.loads(text).get("models", {})
        rows: dict[str, ModelRow] = {}
        for name, table in tables.items():
            repo = "" if table.get("urls") or table.get("repo") else name
            page = f"https://huggingface.co/{repo}" if repo else ""
            given = {"repo": repo, "page": page, **table}
            unknown = set(given) - set(ModelRow.__dataclass_fields__)
            if unknown:
                choices = ", ".join(ModelRow.__dataclass_fields__)
                raise SettingsError(
                    f"model {name!r}: unknown key {min(unknown)!r} (choices: {choices})"
                )
            rows[name] = TypeAdapter(ModelRow).validate_python({"name": name, **given})
        return rows
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{where}: {at}: {first['msg']} (got {first['input']!r})") from None
