"""The engines of a profile: constructed with their options, their needs and licences checked."""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.interfaces import (
    Diarizer,
    Engine,
    Need,
    ScriptAnalyzer,
    Separator,
    Synthesizer,
    TakeVerifier,
    Transcriber,
    Translator,
    VoiceActivityDetector,
)
from dubarr_pipeline.engines.registry import KINDS, EngineRow, Kind, build, own_engines, row
from dubarr_pipeline.engines.requirements import name_missing
from dubarr_pipeline.errors import LanguageError, LicenceError, MissingRequirement
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.models.pull import pull
from dubarr_pipeline.models.store import is_offline, known_model
from dubarr_pipeline.services.http_client import Host
from dubarr_pipeline.text.languages import display_name
from dubarr_pipeline.text.printable import install_cure
from dubarr_pipeline.timing.length_model import PhonemeCount

_log = logging.getLogger(__name__)
_Engine = TypeVar("_Engine", bound=Engine)
Pairs = tuple[tuple[str, str], ...]
"""Source and target languages of films; empty where they are not known yet."""
_PROGRAMS = {"ffmpeg": ("ffmpeg", "ffprobe"), "mkvtoolnix": ("mkvmerge", "mkvpropedit")}
"""Debian package -> the programs that it brings."""


_KINDS: Mapping[type[Engine], Kind] = {
    VoiceActivityDetector: "voice_activity",
    Separator: "separation",
    Diarizer: "diarization",
    Transcriber: "transcription",
    ScriptAnalyzer: "context",
    Translator: "translation",
    Synthesizer: "synthesis",
}


def engine(
    settings: Settings, interface: type[_Engine], logs: Path | None = None, **facts: Any
) -> _Engine:
    """Construct the chosen engine of a kind, with its options; loads nothing.

    Args:
        settings: with the engine and its options.
        interface: of the kind of work.
        logs: folder for the logs of services that it starts; default: ``logs`` in `work_dir`.
        facts: further arguments of its class.

    Raises:
        LicenceError: if its licence allows no commercial use, and was not accepted.
    """
    kind = _KINDS[interface]
    check_engine_licence(settings, row(kind, settings.engines[kind]))
    return cast("_Engine", _constructed(settings, kind, logs, **facts))


def engine_facts(settings: Settings, interface: type[Engine]) -> Mapping[str, Any]:
    """Return what the result of an engine depends on: its identity and its options."""
    options = settings.engine_options[_KINDS[interface]]
    return {"engine": engine(settings, interface).identity(), "options": options}


def _constructed(settings: Settings, kind: Kind, logs: Path | None = None, **facts: Any) -> Engine:
    chosen, options = row(kind, settings.engines[kind]), settings.engine_options[kind]
    given: dict[str, Any] = {} if options is None else {"options": options}
    if "llm" in chosen.takes:
        given["llm"] = settings.llm
    if "logs" in chosen.takes:
        given["logs"] = logs or settings.work_dir / "logs"
    return build(kind, chosen.name, **given, **facts)


def take_verifier(settings: Settings) -> TakeVerifier | None:
    """Construct the take verifier: the transcription engine, if it can and is wanted."""
    if not settings.segments.word_error:
        return None
    hearing = engine(settings, Transcriber)
    return hearing if isinstance(hearing, TakeVerifier) else None


def translator(
    settings: Settings,
    subtitled: tuple[str, ...] = (),
    logs: Path | None = None,
    hosts: Mapping[str, Host] | None = None,
    pairs: Pairs = (),
) -> Translator:
    """Construct the translator of a video with subtitles in some languages.

    `hosts` are those of services that must share a GPU, by kind of engine.
    """
    offered = {"subtitled": subtitled, "pairs": pairs}
    taken = row("translation", settings.engines["translation"]).takes
    facts = {name: value for name, value in offered.items() if name in taken}
    return engine(settings, Translator, logs, **facts, **_hosted("translation", hosts))


def translates_by_pair(settings: Settings) -> bool:
    """Return whether the models of the translator depend on the film's languages."""
    return "pairs" in row("translation", settings.engines["translation"]).takes


def synthesizer(
    settings: Settings, logs: Path | None = None, hosts: Mapping[str, Host] | None = None
) -> Synthesizer:
    """Construct the voice; arguments as of `translator`."""
    return engine(settings, Synthesizer, logs, **_hosted("synthesis", hosts))


def voices_for(language: str) -> tuple[str, ...]:
    """Return our engines that speak a BCP-47 language with voices of their own, for messages.

    One that would with more packages is named with them and their cure.
    """
    from dubarr_pipeline.engines.synthesis.stock_synthesizer import StockSynthesizer

    rows = (each for each in own_engines() if each.kind == "synthesis")
    built = ((each.name, build("synthesis", each.name)) for each in rows)
    found = list[str]()
    for name, voice in built:
        if not isinstance(voice, Synthesizer) or name in ("openai", "tone"):
            continue
        if voice.serves(language):
            found.append(name)
        elif isinstance(voice, StockSynthesizer) and (needs := voice.missing_for(language)):
            found.append(f"{name} with {name_missing(needs)}")
    return tuple(found)


def voice_need(settings: Settings, language: str) -> tuple[str, Need]:
    """Return (user, need): that the voice engine speaks a BCP-47 language, with the cure."""
    voice = synthesizer(settings)
    cure = ""
    if not voice.serves(language):
        others = ", ".join(voices_for(language)) or "none"
        cure = (
            "choose another synthesis.engine (`dubarr engines`); "
            f"these speak {display_name(language)}: {others}"
        )
    need = Need("language", display_name(language), not cure, cure)
    return f"synthesis: {voice.name}", need


def check_voices(settings: Settings, languages: Iterable[str], film: str = "") -> None:
    """Raise `LanguageError` unless the voice engine speaks these BCP-47 languages.

    `film` begins the message, where one alone is concerned.
    """
    voice = synthesizer(settings)
    for language in languages:
        # Names of languages are unpacked only for who does not speak one.
        if voice.serves(language):
            continue
        user, need = voice_need(settings, language)
        raise LanguageError(
            f"{film}{user} does not speak {need.name}: remove {language!r} from the target "
            f"languages, or {need.cure}"
        )


def translation_need(settings: Settings, source: str, target: str) -> tuple[str, Need]:
    """Return (user, need): that a translator serves two BCP-47 languages, with the cure."""
    chosen = translator(settings, pairs=((source, target),))
    present = chosen.serves(source, target)
    others = ", ".join(chosen.targets(source)) or "none"
    cure = (
        "put subtitles beside the film, or choose another translation.engine "
        f"(`dubarr engines`); {chosen.name} serves: {others}"
    )
    name = f"{display_name(source)} to {display_name(target)}"
    return f"translation: {chosen.name}", Need("language", name, present, "" if present else cure)


def _hosted(kind: Kind, hosts: Mapping[str, Host] | None) -> dict[str, Host]:
    return {"host": hosts[kind]} if hosts and kind in hosts else {}


def phoneme_counter() -> PhonemeCount:
    """Return a function that counts a text's phonemes; spoken lengths are predicted from them."""
    from dubarr_pipeline.engines.synthesis.espeak import phoneme_count

    def count(text: str, language: str) -> int | None:
        try:
            return phoneme_count(text, language)
        except (LanguageError, MissingRequirement):
            return None

    return count


def needs(settings: Settings, pairs: Pairs = ()) -> list[tuple[str, Need]]:
    """Return all that the profile needs as pairs (user, need), each need once.

    `pairs` are the languages to translate between; without them no translator names models of a
    pair.
    """
    found: list[tuple[str, Need]] = []
    for deb, programs in _PROGRAMS.items():
        for program in programs:
            need = Need("program", program, bool(shutil.which(program)), install_cure(deb))
            found.append(("reading and writing media", need))
    for kind in KINDS:
        by_pair = kind == "translation" and translates_by_pair(settings)
        facts: dict[str, Any] = {"pairs": pairs} if by_pair else {}
        chosen = _constructed(settings, kind, **facts)
        licences = licence_needs(settings, row(kind, settings.engines[kind]))
        found += [(f"{kind}: {chosen.name}", need) for need in (*licences, *chosen.needs())]
    return list({need.name: (user, need) for user, need in reversed(found)}.values())[::-1]


def missing_models(settings: Settings, pairs: Pairs = ()) -> list[str]:
    """Return the names of the models that the profile needs and that are not here."""
    found = (need for _, need in needs(settings, pairs))
    return [need.name for need in found if not need.present and _is_fetchable(need)]


def fetch_models(settings: Settings, chosen: Engine) -> None:
    """Fetch the models that an engine lacks, if that is allowed: those that the film decides.

    Raises:
        LicenceError: if a licence was not accepted.
        MissingRequirement: if the host does not give them.
    """
    if not settings.models.download or is_offline():
        return
    for need in chosen.needs():
        if not need.present and _is_fetchable(need):
            check_model_licence(settings, need.name)
            _log.info("fetching %s: %s", need.name, need.cure)
            pull(need.name)


def _is_fetchable(need: Need) -> bool:
    """Return whether `dubarr models` brings it; some models come with a package."""
    return need.kind == "model" and need.cure.startswith("dubarr models pull")


def check_needs(settings: Settings, fetchable: bool = False, pairs: Pairs = ()) -> None:
    """Check that everything is here before any work starts, `fetchable` models excepted.

    Raises:
        MissingRequirement: one list of everything that is missing, each with its cure.
        LicenceError: if a licence was not accepted.
    """
    for kind in KINDS:
        check_engine_licence(settings, row(kind, settings.engines[kind]))
    for name in missing_models(settings, pairs):
        check_model_licence(settings, name)
    missing = [
        f"  {need.kind} {need.name} (for {user}): {need.cure}"
        for user, need in needs(settings, pairs)
        if not need.present and not (fetchable and _is_fetchable(need))
    ]
    if missing:
        raise MissingRequirement(
            f"profile {settings.profile!r} has unmet requirements:\n" + "\n".join(missing)
        )


def licence_needs(settings: Settings, chosen: EngineRow) -> tuple[Need, ...]:
    """Return the licence that must be accepted before an engine works, if there is one."""
    if chosen.commercial:
        return ()
    page = next((known_model(name).page for name in chosen.models), "")
    accepted = chosen.licence in settings.models.accept_licences
    return (Need("licence", chosen.licence, accepted, _licence_cure(chosen.licence, page)),)


def check_engine_licence(settings: Settings, chosen: EngineRow) -> None:
    """Raise `LicenceError` with the cure unless an engine's licence is accepted."""
    for need in licence_needs(settings, chosen):
        if not need.present:
            raise _refused(f"{chosen.kind} engine {chosen.name!r}", need.name, need.cure)


def check_model_licence(settings: Settings, name: str) -> None:
    """Check that a model's licence is accepted if it forbids commercial use. Raises as above."""
    model = known_model(name)
    if model.commercial is False and model.licence not in settings.models.accept_licences:
        cure = _licence_cure(model.licence, model.page)
        raise _refused(f"model {name!r}", model.licence, cure)


def _refused(subject: str, licence: str, cure: str) -> LicenceError:
    return LicenceError(f"{subject} is under {licence}, which allows no commercial use: {cure}")


def _licence_cure(licence: str, page: str) -> str:
    where = f" at {page}" if page else ""
    return (
        f"read it{where}, and if you accept it write "
        f'accept_licences = ["{licence}"] below [models] in dubarr.toml'
    )


@runtime_checkable
class Questionable(Protocol):
    """An engine behind a service that can be asked a small question."""

    def try_out(self, targets: Sequence[str]) -> None:
        """Raise `MissingRequirement` with the fault and its cure. The engine is loaded."""
        ...


def try_services(settings: Settings, targets: Iterable[str]) -> None:
    """Ask every service one small question before hours of work.

    A service that we start ourselves takes minutes to answer. It is asked when its model, settings
    or languages are new: what it answered then it will answer again.

    Raises:
        MissingRequirement: one list of everything that is wrong, each with its cure.
    """
    faults: list[str] = []
    languages = tuple(sorted(targets))
    for kind in KINDS:
        check_engine_licence(settings, row(kind, settings.engines[kind]))
        asked = _constructed(settings, kind)
        if not isinstance(asked, Questionable):
            continue
        starts = "logs" in row(kind, asked.name).takes
        # A question to a server that runs already costs nothing.
        starts = starts and getattr(getattr(asked, "options", None), "serve", "") != "url"
        facts = f"{kind} {asked.identity()} {languages}"
        digest = hashlib.sha256(facts.encode()).hexdigest()[:16]
        answered = settings.work_dir / "logs" / f"tried-{digest}"
        if starts and answered.is_file():
            continue
        try:
            with asked:
                asked.try_out(languages)
        except MissingRequirement as error:
            faults.append(f"  {kind} engine {asked.name!r}: {error}")
            continue
        if starts:
            answered.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(answered) as part:
                part.touch()
    if faults:
        raise MissingRequirement("services did not pass a first question:\n" + "\n".join(faults))
