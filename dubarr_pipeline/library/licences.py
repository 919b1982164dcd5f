"""Licences that allow no commercial use: an engine or model under one is used only if accepted."""

from __future__ import annotations

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.registry import EngineRow
from dubarr_pipeline.errors import LicenceError
from dubarr_pipeline.models.store import ModelOptions, known_model
from dubarr_pipeline.settings import Settings


def licence_needs(settings: Settings, chosen: EngineRow) -> tuple[Need, ...]:
    """The licence that must be accepted before an engine works, if there is one."""
    if chosen.commercial:
        return ()
    page = next((known_model(name).page for name in chosen.models), "")
    accepted = _is_accepted(settings, chosen.licence)
    return (Need("licence", chosen.licence, accepted, _cure(chosen.licence, page)),)


def check_engine_licence(settings: Settings, chosen: EngineRow) -> None:
    """See that an engine's licence is accepted.

    Raises:
        LicenceError: naming the licence, where it stands, and the setting that accepts it.
    """
    for need in licence_needs(settings, chosen):
        if not need.present:
            raise _refused(f"{chosen.kind} engine {chosen.name!r}", need.name, need.cure)


def check_model_licence(settings: Settings, name: str) -> None:
    """See that a model's licence is accepted, if it forbids commercial use. Raises as above."""
    model = known_model(name)
    if model.commercial is False and not _is_accepted(settings, model.licence):
        raise _refused(f"model {name!r}", model.licence, _cure(model.licence, model.page))


def _is_accepted(settings: Settings, licence: str) -> bool:
    options: ModelOptions = settings.options("models")
    return licence in options.accept_licences


def _refused(what: str, licence: str, cure: str) -> LicenceError:
    return LicenceError(f"{what} stands under {licence}, which allows no commercial use: {cure}")


def _cure(licence: str, page: str) -> str:
    where = f" at {page}" if page else ""
    return (
        f"read it{where}, and if you accept it write "
        f'accept_licences = ["{licence}"] below [models] in dubarr.toml'
    )
