"""Who works on a video: the chosen engines, constructed with their options."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dubarr_pipeline.engines.interfaces import (
    Diarizer,
    Engine,
    Need,
    ScriptReader,
    Separator,
    Synthesizer,
    TakeListener,
    Transcriber,
    Translator,
    VoiceActivityDetector,
)
from dubarr_pipeline.engines.registry import KINDS, Kind, build, row
from dubarr_pipeline.errors import LanguageError, MissingRequirement
from dubarr_pipeline.library.licences import (
    check_engine_licence,
    check_model_licence,
    licence_needs,
)
from dubarr_pipeline.services.server import Host
from dubarr_pipeline.settings import ENGINE_SECTIONS, Settings
from dubarr_pipeline.timeline.length_model import PhonemeCount

_SECTIONS: dict[Kind, str] = {kind: section for section, kind in ENGINE_SECTIONS.items()}


def engine(settings: Settings, kind: Kind, logs: Path | None = None, **facts: Any) -> Engine:
    """Construct the chosen engine of a kind, with its options; loads nothing.

    Args:
        settings: they say which engine, and how.
        kind: the kind of work.
        logs: folder for the logs of services that it starts; default: beside all work folders.
        facts: what else its constructor takes.

    Raises:
        LicenceError: if its licence allows no commercial use, and was not accepted.
    """
    check_engine_licence(settings, row(kind, settings.engines()[kind]))
    return _constructed(settings, kind, logs, **facts)


def _constructed(settings: Settings, kind: Kind, logs: Path | None = None, **facts: Any) -> Engine:
    chosen, options = row(kind, settings.engines()[kind]), settings.options(_SECTIONS[kind])
    given: dict[str, Any] = {} if options is None else {"options": options}
    if "llm" in chosen.takes:
        given["llm"] = settings.options("llm")
    if "logs" in chosen.takes:
        given["logs"] = logs or settings.work_dir / "logs"
    return build(kind, chosen.name, **given, **facts)


def voice_activity_detector(settings: Settings) -> VoiceActivityDetector:
    """Who finds where somebody speaks."""
    return cast("VoiceActivityDetector", engine(settings, "voice_activity"))


def separator(settings: Settings) -> Separator:
    """Who takes the voices out."""
    return cast("Separator", engine(settings, "separation"))


def diarizer(settings: Settings) -> Diarizer:
    """Who tells the speakers apart."""
    return cast("Diarizer", engine(settings, "diarization"))


def transcriber(settings: Settings) -> Transcriber:
    """Who writes down what is said."""
    return cast("Transcriber", engine(settings, "transcription"))


def take_listener(settings: Settings) -> TakeListener | None:
    """Who listens whether takes say their lines: the transcription engine, where it can."""
    if not settings.options("production").word_error:
        return None
    found = engine(settings, "transcription")
    return found if isinstance(found, TakeListener) else None


def script_reader(settings: Settings, logs: Path | None = None) -> ScriptReader:
    """Who reads the whole script."""
    return cast("ScriptReader", engine(settings, "context", logs))


def translator(
    settings: Settings,
    subtitled: tuple[str, ...] = (),
    logs: Path | None = None,
    hosts: Mapping[str, Host] | None = None,
) -> Translator:
    """Who translates; `subtitled` are the languages that the video has subtitles in."""
    facts = {"subtitled": subtitled} if settings.engines()["translation"] == "lite" else {}
    return cast(
        "Translator",
        engine(settings, "translation", logs, **facts, **_hosted("translation", hosts)),
    )


def synthesizer(
    settings: Settings, logs: Path | None = None, hosts: Mapping[str, Host] | None = None
) -> Synthesizer:
    """Who speaks."""
    return cast("Synthesizer", engine(settings, "synthesis", logs, **_hosted("synthesis", hosts)))


def _hosted(kind: Kind, hosts: Mapping[str, Host] | None) -> dict[str, Host]:
    """The host that was made for an engine's service, where services must share a GPU."""
    return {"host": hosts[kind]} if hosts and kind in hosts else {}


def phoneme_counter() -> PhonemeCount:
    """Who counts the phonemes of a text, from which its spoken length is predicted."""
    from dubarr_pipeline.engines.synthesis.espeak import phoneme_count

    def count(text: str, language: str) -> int | None:
        try:
            return phoneme_count(text, language)
        except (LanguageError, MissingRequirement):
            return None

    return count


def needs(settings: Settings) -> list[tuple[str, Need]]:
    """All that the profile needs, as (who needs it, what), each thing once."""
    found = [("reading and writing media", need) for need in _programs()]
    for kind in KINDS:
        chosen = _constructed(settings, kind)
        licences = licence_needs(settings, row(kind, settings.engines()[kind]))
        found += [(f"{kind}: {chosen.name}", need) for need in (*licences, *chosen.needs())]
    return list({need.name: (who, need) for who, need in reversed(found)}.values())[::-1]


def missing_models(settings: Settings) -> list[str]:
    """The models that the profile needs and that are not here, by name."""
    return [need.name for _, need in needs(settings) if not need.present and _is_fetchable(need)]


def _is_fetchable(need: Need) -> bool:
    """Whether `dubarr models` brings it; some models come with a package."""
    return need.kind == "model" and need.cure.startswith("dubarr models pull")


def check_needs(settings: Settings, fetchable: bool = False) -> None:
    """See that all is here before any work starts.

    Args:
        settings: with the profile.
        fetchable: let models pass that are not here: they will be fetched.

    Raises:
        MissingRequirement: one list of everything that is missing, each with its cure.
        LicenceError: if a licence was not accepted.
    """
    for kind in KINDS:
        check_engine_licence(settings, row(kind, settings.engines()[kind]))
    for name in missing_models(settings):
        check_model_licence(settings, name)
    missing = [
        (who, need)
        for who, need in needs(settings)
        if not need.present and not (fetchable and _is_fetchable(need))
    ]
    if missing:
        raise MissingRequirement(
            f"profile {settings.profile!r} lacks what it needs:\n" + missing_list(missing)
        )


def missing_list(missing: Iterable[tuple[str, Need]]) -> str:
    """One line for each missing thing: what, who needs it, how to get it."""
    return "\n".join(f"  {need.kind} {need.name} (for {who}): {need.cure}" for who, need in missing)


def _programs() -> tuple[Need, ...]:
    return tuple(
        Need("program", program, shutil.which(program) is not None, f"apt-get install {package}")
        for program, package in (
            ("ffmpeg", "ffmpeg"),
            ("ffprobe", "ffmpeg"),
            ("mkvmerge", "mkvtoolnix"),
            ("mkvpropedit", "mkvtoolnix"),
        )
    )
