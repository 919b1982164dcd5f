"""Casts of series: who is known, whom a person is asked about, and a person's corrections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.api.dubbing import Attempt, Watch, dub_registered
from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.exchange import shared_memories
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.series_records import record_cast
from dubarr_pipeline.engines.interfaces import Synthesizer
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.series.corrections import (
    CastCorrection,
    PeoplesWord,
    add_corrections,
    affected_episodes,
    ask_for,
    cast_of,
    peoples_word,
)
from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder, remembered
from dubarr_pipeline.library.series.references import sweep_references, with_references
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.script.model import Term
from dubarr_pipeline.text.languages import standard_tag


@dataclass(frozen=True, slots=True)
class SeriesPerson:
    """A character of a series.

    Attributes:
        voices: engine -> target language -> the voice that speaks for them.
        chosen: the same, of those that a person chose.
        reference: their best sample, if there is one.
        episodes: key of a film -> their speaker in it.
    """

    id: str
    name: str | None
    gender: str | None
    voices: Mapping[str, Mapping[str, str]]
    chosen: Mapping[str, Mapping[str, str]]
    reference: Path | None
    episodes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnsureSpeaker:
    """A speaker who is kept apart until a person says who they are.

    Attributes:
        episode: key of the film.
        proposed: the character that they may be; None: they said too little to tell.
        distance, next_distance: of their voice, to that character's and to the nearest other.
    """

    episode: str
    speaker: str
    proposed: str | None
    distance: float | None
    next_distance: float | None
    why: str


@dataclass(frozen=True, slots=True)
class SeriesCast:
    """The cast of a series.

    Attributes:
        revision: number of its last correction.
        episodes: key -> title of the films that are in it.
        to_respeak: keys of the films in which corrections do not count yet.
    """

    key: str
    title: str
    revision: int
    people: tuple[SeriesPerson, ...]
    unsure: tuple[UnsureSpeaker, ...]
    episodes: Mapping[str, str]
    glossary: tuple[Term, ...]
    to_respeak: tuple[str, ...]


def list_series(settings: Settings) -> list[SeriesCast]:
    """Return the casts of all series that are remembered."""
    return [series_cast(key, settings) for key in remembered(settings.work_dir)]


def series_cast(series: str, settings: Settings) -> SeriesCast:
    """Return the cast of a series, given by its key or an unambiguous beginning.

    Raises:
        SettingsError: if none or several match; it lists the choices.
        ArtifactError: if its memory is damaged.
    """
    folder = _folder(series, settings)
    return _shown(_memory(folder), folder)


def correct_cast(
    series: str, corrections: Sequence[CastCorrection], settings: Settings, by: str = ""
) -> SeriesCast:
    """Correct the cast of a series: all corrections are stored, or none.

    They count in every film that comes; in those that are finished by `respeak`. A voice without an
    engine is of the one that speaks now.

    Raises:
        SettingsError: if one names what is not there; it lists the choices.
        LanguageError: if a language is unknown.
    """
    tagged = [
        replace(each, language=standard_tag(each.language)) if each.language else each
        for each in corrections
    ]
    folder = _folder(series, settings)
    with (
        open_instance(settings.work_dir) as instance,
        shared_memories(instance, settings),
        folder.alone(),
    ):
        memory = _memory(folder)
        named = [_with_engine(each, memory, settings) for each in tagged]
        memory = add_corrections(memory, named, by)
        word = peoples_word(memory)
        memory = with_references(memory, folder, settings.work_dir, word, memory.characters)
        sweep_references(memory, folder)
        folder.write(memory)
        record_cast(instance, memory.series, settings.work_dir)
    return _shown(memory, folder)


def ask_for_corrections(
    series: str, settings: Settings, films: Sequence[str] = ()
) -> tuple[str, ...]:
    """Let all corrections count in some films, or in all that they change; return their keys.

    A run of them speaks the lines of the corrected characters again, and nobody else's.
    """
    folder = _folder(series, settings)
    with (
        open_instance(settings.work_dir) as instance,
        shared_memories(instance, settings),
        folder.alone(),
    ):
        memory = _memory(folder)
        if unknown := [key for key in films if key not in memory.episodes]:
            choices = ", ".join(memory.episodes)
            raise SettingsError(f"{memory.title} has no film {unknown[0]!r}: choose of {choices}")
        asked = tuple(films) or tuple(affected_episodes(memory))
        folder.write(ask_for(memory, asked))
    return asked


def respeak(
    series: str, settings: Settings, watch: Watch, films: Sequence[str] = ()
) -> Iterator[Attempt]:
    """Speak the corrected characters of a series again, in some films or in all; in this process.

    Raises:
        SettingsError: if a film is none of the series.
    """
    return dub_registered(ask_for_corrections(series, settings, films), settings, watch)


def _folder(series: str, settings: Settings) -> SeriesFolder:
    keys = remembered(settings.work_dir)
    matches = [series] if series in keys else [key for key in keys if key.startswith(series)]
    if len(matches) != 1:
        choices = ", ".join(matches or keys) or "none"
        raise SettingsError(f"{len(matches)} series match {series!r}; choose one of: {choices}")
    return SeriesFolder.of(matches[0], settings.work_dir)


def _memory(folder: SeriesFolder) -> CastMemory:
    memory = folder.read()
    if memory is None:
        raise SettingsError(f"nothing is known of {folder.root.name}: dub an episode")
    return memory


def _with_engine(
    correction: CastCorrection, memory: CastMemory, settings: Settings
) -> CastCorrection:
    """Return a correction with the engine of its voice, which must have that one."""
    if correction.field != "voice" or correction.engine or not memory.episodes:
        return correction
    video = load_video(list(memory.episodes)[-1], settings.work_dir)
    speaker = profile_engines.synthesizer(settings.for_video(video.profile, video.overrides))
    _check_voice(correction, speaker)
    return replace(correction, engine=speaker.name)


def _check_voice(correction: CastCorrection, speaker: Synthesizer) -> None:
    names = [voice.name for voice in speaker.voices(correction.language)]
    if correction.value is not None and names and correction.value not in names:
        raise SettingsError(
            f"{speaker.name} has no voice {correction.value!r} in {correction.language}: choose "
            f"one of {', '.join(names)}"
        )


def _shown(memory: CastMemory, folder: SeriesFolder) -> SeriesCast:
    word = peoples_word(memory)
    own = {key: cast_of(memory, key, word) for key in memory.episodes}
    unsure = tuple(
        UnsureSpeaker(key, who, each.proposed, each.distance, each.next_distance, each.why)
        for key, episode in memory.episodes.items()
        for who, each in episode.speakers.items()
        if who not in own[key]
    )
    return SeriesCast(
        key=memory.series,
        title=memory.title,
        revision=memory.revision,
        people=tuple(_person(name, memory, word, own, folder) for name in memory.characters),
        unsure=unsure,
        episodes={key: episode.title for key, episode in memory.episodes.items()},
        glossary=memory.glossary,
        to_respeak=tuple(affected_episodes(memory)),
    )


def _person(
    name: str,
    memory: CastMemory,
    word: PeoplesWord,
    own: Mapping[str, Mapping[str, str]],
    folder: SeriesFolder,
) -> SeriesPerson:
    known, chosen = memory.characters[name], word.voices.get(name, {})
    engines = {*known.voices, *chosen}
    return SeriesPerson(
        id=name,
        name=word.names.get(name) or known.name,
        gender=known.gender,
        voices={e: {**known.voices.get(e, {}), **chosen.get(e, {})} for e in sorted(engines)},
        chosen=chosen,
        reference=folder.references / known.reference.file if known.reference else None,
        episodes={
            key: who
            for key, speakers in own.items()
            for who, character in speakers.items()
            if character == name
        },
    )
