"""What engines say in `needs`: is a package installed, is a model in the store."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from dubarr_pipeline.engines.interfaces import Engine, Need
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import model_need

STUDIO = "pip install 'dubarr-pipeline[studio]'"
"""Brings the packages of the profile ``studio``."""


def package_version(package: str) -> str:
    """The version of an installed package, for identities; ``"absent"`` where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def package_need(package: str, module: str, cure: str) -> Need:
    """A package, by its name in the registry and the module that is imported from it. Cheap.

    The module is looked for as well: there may be leftovers of a package that is gone.
    """
    here = find_spec(module) is not None and package_version(package) != "absent"
    return Need("package", package, here, cure)


def model_in_store(name: str) -> Need:
    """A model of the store, or a local folder. Cheap.

    Raises:
        SettingsError: if there is no such model.
    """
    model = model_need(name)
    return Need("model", model.name, model.present, model.cure)


def require(engine: Engine) -> None:
    """Check that all is here which an engine needs.

    Raises:
        MissingRequirement: all that is missing, each with its cure.
    """
    missing = [f"{n.kind} {n.name} ({n.cure})" for n in engine.needs() if not n.present]
    if missing:
        raise MissingRequirement(f"{engine.name} lacks {' and '.join(missing)}")
