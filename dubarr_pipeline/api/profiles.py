"""Settings and profiles: the engines that work, what they need, and their models."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubarr_pipeline.compute.json_lines import log_json, logs_json
from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.profile_engines import Pairs, check_model_licence
from dubarr_pipeline.config.profile_engines import needs as needs
from dubarr_pipeline.config.settings import Settings, user_settings
from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.registry import KINDS, EngineRow, engine_rows, option_type_of
from dubarr_pipeline.engines.registry import PROFILES as PROFILES
from dubarr_pipeline.engines.registry import row as engine_row
from dubarr_pipeline.models import pull, store
from dubarr_pipeline.models.manifest import all_models
from dubarr_pipeline.models.pull import OnFetched, PullOptions
from dubarr_pipeline.models.store import models_dir as models_dir
from dubarr_pipeline.progress import OnProgress
from dubarr_pipeline.services.llm_client import (
    LanguageModelOptions,
    LLMServerRow,
    llm_servers,
)
from dubarr_pipeline.text.languages import parse_languages, standard_tag

if TYPE_CHECKING:
    from dubarr_pipeline.demo.voice_samples import VoiceSample

_log = logging.getLogger(__name__)


def read_settings(
    work_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    profile: str | None = None,
) -> Settings:
    """Read and check the settings, as `user_settings`; `profile` is in place of the file's.

    Raises:
        SettingsError: at the first mistake.
    """
    settings = user_settings(Path(config) if config else None, Path(work_dir) if work_dir else None)
    return settings.for_video(profile, {}) if profile else settings


def start_logging(settings: Settings) -> None:
    """Have this process, and those that it starts, log as the settings say."""
    if settings.logging.format == "json":
        log_json()


def log_line(level: int, line: str) -> bool:
    """Log a line that a terminal would show; return False where the process logs for people."""
    if not logs_json():
        return False
    _log.log(level, "%s", line)
    return True


@dataclass(frozen=True, slots=True)
class ModelFetch:
    """A model to fetch: its name, and the bytes that are still to come."""

    name: str
    size: int
    update: bool = False

    def fetch(self, on_fetched: OnFetched = pull.ignore_fetched) -> int:
        """Fetch and check it; return its size in bytes. Raises `MissingRequirement`."""
        options = PullOptions(update=self.update, on_fetched=on_fetched)
        return pull.pull(self.name, options).size


Fetch = Callable[[str, Sequence[ModelFetch]], None]
"""Fetches the models that a profile (by name) is missing."""


def fetch_all(_profile: str, fetches: Sequence[ModelFetch]) -> None:
    """Fetch models without a word."""
    for each in fetches:
        each.fetch()


def language_pairs(spoken: str, targets: str) -> Pairs:
    """Return (source, target) pairs of languages, separated by commas; none if either is empty.

    Raises:
        LanguageError: if a tag is none.
    """
    if not (spoken and targets):
        return ()
    return tuple((s, t) for s in parse_languages(spoken) for t in parse_languages(targets))


def language_needs(settings: Settings, pairs: Pairs, targets: str) -> list[tuple[str, Need]]:
    """Return as pairs (user, need) what translator and voice must be able to do for languages.

    Args:
        settings: with the engines.
        pairs: languages to translate between.
        targets: languages to speak, separated by commas.

    Raises:
        LanguageError: if a tag is none.
    """
    spoken = [
        profile_engines.voice_need(settings, each)
        for each in (parse_languages(targets) if targets else ())
    ]
    return [*(profile_engines.translation_need(settings, *pair) for pair in pairs), *spoken]


def make_ready(
    settings: Settings,
    fetch: Fetch = fetch_all,
    pairs: Pairs = (),
    targets: Sequence[str] = (),
) -> None:
    """Check that a run has everything it needs; models that it lacks are fetched.

    `pairs` are the languages to translate between and `targets` those to speak, where they are
    known.

    Raises:
        LanguageError: if the voice does not speak a target; before anything is fetched.
        MissingRequirement: if something else is missing, or models may not be fetched.
        LicenceError: if a licence was not accepted.
    """
    may_fetch = settings.models.download and not store.is_offline()
    profile_engines.check_needs(settings, may_fetch, pairs)
    # What a server lacks is told together with what the other servers lack.
    if not isinstance(profile_engines.synthesizer(settings), profile_engines.Questionable):
        profile_engines.check_voices(settings, targets)
    if fetches := models_to_fetch(settings, pairs=pairs):
        fetch(settings.profile, fetches)
        profile_engines.check_needs(settings, pairs=pairs)


def models_to_fetch(
    settings: Settings, names: Sequence[str] = (), update: bool = False, pairs: Pairs = ()
) -> list[ModelFetch]:
    """Return the named models with their sizes, or all that the profile lacks.

    Raises:
        LicenceError: if a licence was not accepted.
        MissingRequirement: if the host has no such model, or may not be asked.
    """
    names = names or profile_engines.missing_models(settings, pairs)
    for name in names:
        check_model_licence(settings, name)
    options = PullOptions(update=update)
    return [ModelFetch(name, pull.to_fetch(name, options), update) for name in names]


def verify_models(names: Sequence[str]) -> dict[str, Sequence[str]]:
    """Read models again, all that are here if none are named; return the faults of each."""
    return {name: pull.verify(name) for name in names or _models_here()}


def remove_model(name: str) -> int:
    """Remove a model from the disk; return the bytes that this freed. A pull brings it again."""
    store.known_model(name)
    return pull.remove(name)


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as `dubarr models list` shows it.

    Attributes:
        bytes: its size on disk, or about its size where it is not present.
        identity: its name, commit and digest.
        commercial: True if its licence allows commercial use; None where nobody has read it.
        gated: True if its page's conditions must be accepted.
        vram_gb: graphics memory that it takes; None where that is not known.
        used_by: the engines that load it by default.
        family: name of a set of like models, of which people need a few; else empty.
    """

    name: str
    present: bool
    bytes: int
    identity: str
    summary: str
    licence: str
    commercial: bool | None
    gated: bool
    page: str
    vram_gb: float | None
    used_by: list[str]
    family: str


def list_models() -> list[ModelListing]:
    """Return every model of the manifest, and every other one in the store."""
    known = all_models(store.own_manifest())
    others = (store.known_model(name) for name in _models_here() if name not in known)
    listings: list[ModelListing] = []
    for row in (*known.values(), *others):
        record, present = store.read_record(store.folder_of(row.name)), store.is_present(row.name)
        size = record.size if record and present else row.about_mb * 1_000_000
        identity = store.model_identity(row.name)
        facts = (row.summary, row.licence, row.commercial, row.gated, row.page, row.vram_gb)
        users = [f"{e.kind} {e.name}" for e in engine_rows() if row.name in e.models]
        listings.append(ModelListing(row.name, present, size, identity, *facts, users, row.family))
    return listings


def _models_here() -> list[str]:
    """Return the names of the models in the store, whole or not."""
    folders = models_dir().glob("[!.]*/")
    return sorted(folder.name.replace("--", "/", 1) for folder in folders if folder.is_dir())


@dataclass(frozen=True, slots=True)
class EngineListing:
    """An engine as `dubarr engines` shows it.

    Attributes:
        chosen: True if the settings choose it.
        accepted: True if its licence allows commercial use, or was accepted.
        model_licences: the licence of each model that it loads.
    """

    row: EngineRow
    chosen: bool
    accepted: bool
    model_licences: dict[str, str]


def list_engines(settings: Settings) -> list[EngineListing]:
    """Return every engine, by kind."""
    return [
        EngineListing(
            row,
            settings.engines[kind] == row.name,
            row.commercial or row.licence in settings.models.accept_licences,
            {name: store.known_model(name).licence for name in row.models},
        )
        for kind in KINDS
        for row in engine_rows()
        if row.kind == kind
    ]


def list_llm_servers(settings: Settings) -> list[tuple[LLMServerRow, bool]]:
    """Return every way to a language model, and whether the settings' engines take it."""
    options = settings.engine_options.values()
    taken = {each.serve for each in options if isinstance(each, LanguageModelOptions)}
    return [(row, row.name in taken) for row in llm_servers()]


def play_voices(
    settings: Settings, language: str, name: str | None, on_progress: OnProgress
) -> "tuple[Path, tuple[VoiceSample, ...]]":
    """Speak a sentence in every voice of the chosen synthesizer, or of the one named.

    Returns the folder, ``voices_{language}`` in the working directory, and what is in it.

    Raises:
        SettingsError: if the engine or the language is unknown, or its licence was not accepted.
        MissingRequirement: if it lacks something.
        WorkspaceError: if the folder holds other files.
    """
    from dubarr_pipeline.demo.voice_samples import write_voice_samples

    chosen = engine_row("synthesis", name or settings.engines["synthesis"])
    if chosen.name != settings.engines["synthesis"]:
        # The options in the settings are those of another engine.
        options = option_type_of("synthesis", chosen.name)
        settings = replace(
            settings,
            engines={**settings.engines, "synthesis": chosen.name},
            engine_options={**settings.engine_options, "synthesis": options and options()},
        )
    licences = (chosen.licence, *(store.known_model(each).licence for each in chosen.models))
    tag, licence = standard_tag(language), "; ".join(dict.fromkeys(licences))
    folder = Path(f"voices_{tag}").absolute()
    with profile_engines.synthesizer(settings) as synthesizer:
        return folder, write_voice_samples(synthesizer, tag, folder, licence, on_progress)


def make_demo_video(settings: Settings) -> Path:
    """Make the demo video below the work folder."""
    from dubarr_pipeline.demo.video import demo_video

    return demo_video(settings.work_dir / "demo")


def serve_speech(settings: Settings, say: Callable[[str], object], **serving: Any) -> None:
    """Serve voices to OpenAI's clients until SIGTERM or Ctrl-C; `serving` as `SpeechServing`."""
    # The web framework costs 0.2 s, and the other functions of this module do without it.
    from dubarr_pipeline.services.xtts_model import SpeechServing, serve_tts

    licences = (*serving.pop("accepted", ()), *settings.models.accept_licences)
    serve_tts(SpeechServing(accepted=licences, **serving), say)
