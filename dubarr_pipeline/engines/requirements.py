"""Requirements of engines: packages that are installed, models in the store."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from dubarr_pipeline.engines.interfaces import Engine, Need
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import model_need

STUDIO = "pip install 'dubarr-pipeline[studio]'"
"""Brings the packages of the profile ``studio``."""

_installed_version = cache(version)
"""Asked for every line; what is absent is looked for again."""


def package_version(package: str) -> str:
    """Return the version of a package for identities; ``"absent"`` if it is not installed."""
    try:
        return _installed_version(package)
    except PackageNotFoundError:
        return "absent"


def package_need(package: str, module: str, cure: str) -> Need:
    """Return the need for a package, by its name on PyPI and the module to import. Cheap.

    The module is checked as well: metadata may outlive a removed package.
    """
    here = find_spec(module) is not None and package_version(package) != "absent"
    return Need("package", package, here, cure)


def model_in_store(name: str) -> Need:
    """Return the need for a model of the store or a local folder. Cheap."""
    model = model_need(name)
    return Need("model", model.name, model.present, model.cure)


def require(engine: Engine) -> None:
    """Raise `MissingRequirement` with everything that an engine lacks, each with its cure."""
    if missing := name_missing(engine.needs()):
        raise MissingRequirement(f"{engine.name} lacks {missing}")


def name_missing(needs: Iterable[Need]) -> str:
    """Return those that are not here in words, each with its cure; empty if all are."""
    missing = dict[tuple[str, str], list[str]]()
    for need in needs:
        if not need.present:
            missing.setdefault((need.kind, need.cure), []).append(need.name)
    return " and ".join(
        f"{kind} {', '.join(names)} ({cure})" for (kind, cure), names in missing.items()
    )
