"""What `dubarr models` does, and what a run fetches before it begins."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from dubarr_pipeline.engines.registry import ENGINES
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.licences import check_model_licence
from dubarr_pipeline.models import pull, store
from dubarr_pipeline.models.manifest import ModelRow, all_models
from dubarr_pipeline.models.pull import Fetched, OnFetched, PullOptions, megabytes
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.terminal import exit_code, printable


def make_ready(settings: Settings) -> None:
    """See that a run has all that it needs; models that it lacks are listed and fetched.

    Raises:
        MissingRequirement: if something else is missing, or models may not be fetched.
        LicenceError: if a licence was not accepted.
    """
    options: store.ModelOptions = settings.options("models")
    may_fetch = options.download and not store.is_offline()
    crew.check_needs(settings, fetchable=may_fetch)
    missing = crew.missing_models(settings)
    if missing:
        click.echo(f"profile {settings.profile} lacks {len(missing)} of its models:")
        pull_models(missing, settings)
        crew.check_needs(settings)


def pull_models(names: Sequence[str], settings: Settings, update: bool = False) -> None:
    """Fetch the named models, or all that the profile lacks; all sizes are told first."""
    names = names or crew.missing_models(settings)
    for name in names:
        check_model_licence(settings, name)
    sizes = {name: pull.to_fetch(name, PullOptions(update=update)) for name in names}
    for name, size in sizes.items():
        click.echo(f"  {name}: " + (f"{megabytes(size)} to fetch" if size else "nothing to fetch"))
    if len(sizes) > 1:
        click.echo(f"  together {megabytes(sum(sizes.values()))}, into {store.models_dir()}")
    for name in names:
        with _bar(name) as on_fetched:
            seal = pull.pull(name, PullOptions(update=update, on_fetched=on_fetched))
        click.echo(f"  {name}: here, {megabytes(seal.size)}, checked")
    if not names:
        click.echo(f"profile {settings.profile}: every model that it needs is here")


def verify_models(names: Sequence[str]) -> int:
    """Read the named models again, or all that are here; exit code 3 if one is damaged."""
    damaged = 0
    for name in names or _here():
        faults = pull.verify(name)
        damaged += bool(faults)
        click.echo(f"{name}: " + ("whole" if not faults else "DAMAGED"))
        for fault in faults:
            click.echo(f"  {printable(fault)}")
        if faults:
            click.echo(f"  → dubarr models pull {name}")
    return exit_code(MissingRequirement.__name__) if damaged else 0


def remove_models(names: Sequence[str]) -> None:
    """Remove models from the disk; they stay pinned, and can be pulled again."""
    for name in names:
        store.known_model(name)
        click.echo(f"{name}: {megabytes(pull.remove(name))} freed")


def print_models(as_json: bool) -> None:
    """Print every model: whether it is here, its size and licence, and who uses it."""
    rows = [_described(row) for row in _all_rows()]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"models in {store.models_dir()}")
    for row in rows:
        mark = "here   " if row["present"] else "-      "
        size = megabytes(row["bytes"]) if row["bytes"] else "?"
        click.echo(f"{mark} {row['name']}  {'' if row['present'] else 'about '}{size}")
        click.echo(f"        {'; '.join(_facts(row))}")


def _facts(row: dict[str, Any]) -> Iterator[str]:
    if row["summary"]:
        yield row["summary"]
    yield f"licence {row['licence']}" + ("" if row["commercial"] else _uncommercial(row))
    if row["gated"]:
        yield f"conditions to accept at {row['page']}"
    if row["vram_gb"]:
        yield f"{row['vram_gb']:g} GB of graphics memory"
    if row["used_by"]:
        yield f"used by {', '.join(row['used_by'])}"


def _uncommercial(row: dict[str, Any]) -> str:
    return " (NO commercial use)" if row["commercial"] is False else f" (see {row['page']})"


def _described(row: ModelRow) -> dict[str, Any]:
    seal = store.read_seal(store.folder_of(row.name))
    present = store.is_present(row.name)
    return {
        "name": row.name,
        "present": present,
        "bytes": seal.size if seal and present else row.about_mb * 1_000_000,
        "identity": store.model_identity(row.name),
        "summary": row.summary,
        "licence": row.licence,
        "commercial": row.commercial,
        "gated": row.gated,
        "page": row.page,
        "vram_gb": row.vram_gb,
        "used_by": [f"{each.kind} {each.name}" for each in ENGINES if row.name in each.models],
    }


def _all_rows() -> Iterable[ModelRow]:
    known = all_models(store.own_manifest())
    others = (store.known_model(name) for name in _here() if name not in known)
    return [*known.values(), *others]


def _here() -> list[str]:
    """The models that lie in the store, whole or not, by name."""
    folders = store.models_dir().glob("[!.]*/")
    return sorted(folder.name.replace("--", "/", 1) for folder in folders if folder.is_dir())


@contextmanager
def _bar(name: str) -> Iterator[OnFetched]:
    """A bar of the bytes on a terminal; nothing where nobody looks."""
    quiet = not sys.stderr.isatty()
    with tqdm(desc=f"  {name}", unit="B", unit_scale=True, disable=quiet, file=sys.stderr) as bar:

        def show(fetched: Fetched) -> None:
            bar.total = fetched.total
            bar.set_postfix_str(printable(fetched.file), refresh=False)
            bar.update(fetched.done - bar.n)

        yield show
