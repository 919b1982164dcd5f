"""The cast of a film, dealt with the memory of its series at hand.

The memory is locked from the first look to the last word, so that of two episodes at once the
second knows the first's people. A film of no series is cast by itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.interfaces import Diarizer, Synthesizer
from dubarr_pipeline.engines.translation.reply_checks import terms_in
from dubarr_pipeline.files import read_json
from dubarr_pipeline.library.series.corrections import (
    asked_facts,
    cast_of,
    peoples_word,
)
from dubarr_pipeline.library.series.episodes import (
    EpisodeSpeakers,
    enter_episode,
    is_entered,
)
from dubarr_pipeline.library.series.glossary import merged_glossary
from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder
from dubarr_pipeline.library.series.names import Series, series_of
from dubarr_pipeline.library.series.references import sweep_references, with_references
from dubarr_pipeline.library.videos import load_video, superseded_by
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.script.model import (
    Context,
)
from dubarr_pipeline.script.speakers.series_prints import PrintNetwork, measure_prints
from dubarr_pipeline.segments.cast import Cast, CastFilm, FilmToCast
from dubarr_pipeline.segments.episode_part import EpisodePart
from dubarr_pipeline.workdir.artifacts import read_diarization
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)
_DIGITS = 32


def cast_film(film: FilmToCast, settings: Settings) -> CastFilm:
    """Deal the voices of a film, and write them down; in a series, enter it in its memory.

    Raises:
        SettingsError: if a person chose a voice that the engine lacks; it lists the choices.
        ArtifactError: if the memory of the series is damaged: a person's corrections are in it.
    """
    work_dir, key = film.work.root.parent, film.work.root.name
    series = _series(film.work)
    if series is None:
        return film.deal()
    folder = SeriesFolder.of(series.key, work_dir)
    entering = _as_entering(film, folder.read(), settings)
    with folder.alone():
        memory = folder.read() or CastMemory(series.key, series.title)
        reheard = key in memory.episodes and not is_entered(memory, entering)
        said = " ".join(line.text for line in film.script.segments)
        takes = terms_in(said, Context("", "", glossary=memory.glossary))
        memory = enter_episode(memory, entering, takes)
        word = peoples_word(memory, memory.episodes[key].asked)
        own = cast_of(memory, key, word)
        memory = with_references(memory, folder, work_dir, word, own.values())
        part = EpisodePart(key, memory, word, own, reheard, film.synthesizer)
        dealt = part.known(film).deal(part.deal)
        part = replace(part, memory=part.with_voices(dealt, film.targets))
        memory = part.with_samples()
        memory = replace(memory, glossary=merged_glossary(memory.glossary, dealt.context.glossary))
        sweep_references(memory, folder)
        folder.write(memory)
    part = replace(part, memory=memory)
    _log.info("%s in the series %s: %s", key, series.key, part.matches())
    return replace(dealt, refs=part.refs(dealt.refs, folder))


def recalled_film(film: FilmToCast, cast: Cast) -> CastFilm:
    """Return a film as its last run cast it; nobody is cast, and nothing is written.

    Raises:
        ArtifactError: if the memory of its series is damaged.
    """
    found = _recalled(film.work, film.synthesizer)
    if found is None:
        return CastFilm(cast, film.speakers, film.context, film.refs)
    part, folder = found
    known = part.known(film)
    return CastFilm(cast, known.speakers, known.context, part.refs(film.refs, folder))


def series_matches(
    work: WorkDir, synthesizer: Synthesizer
) -> tuple[str, Mapping[str, str], tuple[str, ...]] | None:
    """Return a film's series, who its speakers are there, and of whom a person is asked."""
    found = _recalled(work, synthesizer)
    return (found[0].memory.series, found[0].matches(), found[0].proposed) if found else None


def asked_corrections(work: WorkDir) -> list[int]:
    """Return the numbers of the corrections of its series that a person wants in a finished film.

    They are facts of its result; all else that the series knows never makes a film stale.
    """
    series = _series(work)
    memory = SeriesFolder.of(series.key, work.root.parent).read() if series else None
    if memory is None or work.root.name not in memory.episodes:
        return []
    return [fact.revision for fact in asked_facts(memory, work.root.name)]


def _series(work: WorkDir) -> Series | None:
    """Return the series of a work folder's film, or None."""
    if not work.video.is_file():
        return None
    work_dir = work.root.parent
    return series_of(load_video(work.root.name, work_dir), work_dir)


def _recalled(work: WorkDir, synthesizer: Synthesizer) -> tuple[EpisodePart, SeriesFolder] | None:
    """Return a film's part of its series' memory as it is; None if it has none."""
    series = _series(work)
    folder = SeriesFolder.of(series.key, work.root.parent) if series else None
    memory, key = folder.read() if folder else None, work.root.name
    if folder is None or memory is None or key not in memory.episodes:
        return None
    word = peoples_word(memory, memory.episodes[key].asked)
    own = cast_of(memory, key, word)
    return EpisodePart(key, memory, word, own, False, synthesizer), folder


def _as_entering(
    film: FilmToCast, memory: CastMemory | None, settings: Settings
) -> EpisodeSpeakers:
    """Return a film's speakers as they enter the memory; they are heard if they are not in it."""
    work, work_dir = film.work, film.work.root.parent
    video = load_video(work.root.name, work_dir)
    rated = read_json(work.refs_report)["speakers"] if work.refs_report.is_file() else {}
    entering = EpisodeSpeakers(
        key=video.key,
        title=video.source.stem,
        heard=hashlib.sha256(work.diarization.read_bytes()).hexdigest()[:_DIGITS],
        prints={},
        profiles=film.speakers,
        sample_scores={w: each["chosen"]["score"] for w, each in rated.items() if each["chosen"]},
        replaces=superseded_by(video, work_dir),
        is_finished=work.segments_report.is_file(),
    )
    if memory and is_entered(memory, entering):
        return entering
    # Not loaded: a network for prints alone loads itself with the first voice.
    diarizer = profile_engines.engine(settings, Diarizer)
    network = PrintNetwork(diarizer.unscripted_identity() or diarizer.identity(), diarizer.print_of)
    with WaveFile(work.vocals) as vocals:
        prints = measure_prints(vocals, read_diarization(work.diarization), network)
    diarizer.unload()
    return replace(entering, prints=prints)
