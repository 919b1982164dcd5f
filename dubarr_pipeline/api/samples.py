"""Samples: one minute of a film through every stage, as a small film to play."""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.api.dubbing import Watch
from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.api.profiles import make_ready
from dubarr_pipeline.config.profile_engines import translates_by_pair, try_services
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime.unrecorded_run import run_unrecorded
from dubarr_pipeline.errors import ArtifactError, NoScript, SettingsError
from dubarr_pipeline.files import check_writable, read_json, whole_file
from dubarr_pipeline.library.admission import check_targets, register
from dubarr_pipeline.library.housekeeping import SAMPLES
from dubarr_pipeline.library.samples.carry_over import carry_over
from dubarr_pipeline.library.samples.cut import TimedSubtitle, cut_minute, cut_path
from dubarr_pipeline.library.samples.minute import (
    CUES_RATE,
    Minute,
    choose_minute,
    clock,
    minute_at,
)
from dubarr_pipeline.library.source import Source, inspect_source
from dubarr_pipeline.library.videos import last_at, load_video
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import read_cues
from dubarr_pipeline.media.subtitles.sources import SubtitleSource
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import read_cues_document, read_sound
from dubarr_pipeline.workdir.layout import WorkDir, exclusive

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A wish for a sample.

    Attributes:
        film: path of the film, or the key of a registered one, or its beginning.
        targets: BCP-47 tags; those of the registered film or of its library by default.
        at_s: where it begins, on the player's clock; by default where most people speak.
        out: file or folder to put it in, instead of the work folder.
        spoken: BCP-47 of what is spoken; by default what the file names.
        profile: engine profile; by default that of the film or of its library.
    """

    film: str
    targets: tuple[str, ...] = ()
    at_s: float | None = None
    length_s: float = 60.0
    out: Path | None = None
    spoken: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class _Film:
    """A film, as it would be dubbed.

    Attributes:
        settings: its own; `overrides` are already in them.
        work: its work folder, if it is registered.
    """

    path: Path
    settings: Settings
    targets: tuple[str, ...]
    overrides: Mapping[str, Any]
    work: WorkDir | None


@dataclass(frozen=True, slots=True)
class SampleSpeaker:
    """A speaker of a sample: id, name or None, lines, and the voice by target language."""

    id: str
    name: str | None
    lines: int
    voices: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished sample.

    Attributes:
        path: the small film: picture, original sound and the dubbed tracks.
        minute: the stretch of the film that it holds, and why.
        speakers: those who speak in it.
        summary: the report in a few lines; `report` is its page.
        carried: the film's corrections that it was given, in words.
        stages: seconds of each stage.
    """

    path: Path
    minute: Minute
    speakers: tuple[SampleSpeaker, ...]
    summary: tuple[str, ...]
    report: Path
    carried: tuple[str, ...]
    stages: dict[str, float]


def make_sample(request: SampleRequest, settings: Settings, watch: Watch | None = None) -> Sample:
    """Dub a minute of a film; the film, its library and its own results are not touched.

    The film's own settings, languages and corrections hold, or else those of its library.

    Raises:
        SettingsError: if the film or the minute cannot be chosen so.
        DubbingError: as `dub`.
    """
    watch = watch or Watch()
    film = _find_film(request, settings)
    path, own, targets = film.path, film.settings, film.targets
    make_ready(own, watch.fetch, targets=targets)
    check_writable(own.work_dir)
    if request.out:
        check_writable(_place(request.out).parent, "--out")
    try_services(own, targets)
    source = inspect_source(path, own, targets)
    check_targets(source, targets, own)
    if source.language and translates_by_pair(own):
        left = [each for each in targets if each not in source.translations(targets)]
        make_ready(own, watch.fetch, tuple((source.language, each) for each in left))
    subtitles = _subtitles(source, film)
    cues = subtitles[0].cues if source.script and subtitles else ()
    if request.at_s is None:
        minute = choose_minute(source.info, source.audio, cues, request.length_s)
    else:
        minute = minute_at(source.info, request.at_s, request.length_s)
    if cues and not subtitles[0].within(minute) and own.engines["transcription"] == "subtitles":
        raise NoScript(
            f"{path}: no line of {subtitles[0].source.describe()} is spoken from "
            f"{clock(minute.start_s)} to {clock(minute.end_s)}: choose another time with --at"
        )
    folder = settings.work_dir / SAMPLES
    cut = cut_path(folder / "cuts", path, minute)
    minute = cut_minute(source, minute, subtitles, cut)
    return _dubbed(cut, minute, replace(settings, work_dir=folder), film, request.out, watch)


def _dubbed(
    cut: Path, minute: Minute, settings: Settings, film: _Film, out: Path | None, watch: Watch
) -> Sample:
    """Pass a cut through every stage, as the film would be."""
    overrides = {**film.overrides, "audio.stream": -1, "mux.container": "mkv"}
    own = settings.for_video(film.settings.profile, overrides)
    video = register(inspect_source(cut, own, film.targets), film.targets, own, overrides)
    work, carried, stages = video.work(settings.work_dir), list[str](), dict[str, float]()
    with exclusive(work):
        watch.on_start(video)
        for stage, seconds in run_unrecorded(video, settings, watch.on_progress):
            stages[stage] = round(seconds, 3)
            if stage == "transcript" and film.work:
                carried = carry_over(film.work, work, minute.start_s)
        path = _put(work.muxed, out or settings.work_dir, cut.name)
    report = read_json(work.report)
    return Sample(
        path,
        minute,
        tuple(_speaker(each) for each in report["speakers"]),
        tuple(report["summary"]),
        work.report_page,
        tuple(carried),
        stages,
    )


def _find_film(request: SampleRequest, settings: Settings) -> _Film:
    """Find a film with its own settings and languages, or else those of its library."""
    path, known = Path(request.film).absolute(), None
    if not path.exists():
        with suppress(SettingsError):
            known = load_video(find_key(request.film, settings), settings.work_dir)
            path = known.source
    else:
        known = last_at(path, settings.work_dir)
    owner = settings.owner_of(path)
    library = settings.library(owner) if owner else None
    profile, targets, overrides = settings.profile, (), {}
    if known:
        profile, targets, overrides = known.profile, known.target_langs, known.overrides
    elif library:
        profile, targets = library.profile or profile, library.target_langs
        overrides = library.overrides
    targets = request.targets or targets
    if not targets:
        raise SettingsError(f"{path} has no languages of its own: name some with --to")
    spoken = {"audio.language": request.spoken} if request.spoken else {}
    overrides = {**overrides, **spoken}
    own = settings.for_video(request.profile or profile, overrides)
    return _Film(path, own, targets, overrides, known.work(settings.work_dir) if known else None)


def _subtitles(source: Source, film: _Film) -> list[TimedSubtitle]:
    """Return the subtitles that go into the sample, the script first."""
    chosen = [source.script] if source.script else []
    for each in source.translations(film.targets).values():
        chosen += [] if any(each.is_same(other) for other in chosen) else [each]
    found: list[TimedSubtitle] = []
    for each in chosen:
        is_script = each is source.script
        cues = _placed_cues(each, film.work) if film.work and is_script else ()
        try:
            found.append(TimedSubtitle(each, cues or read_cues(each, source.info, CUES_RATE, 0.0)))
        except NoScript as error:
            if is_script:
                raise
            _log.warning("%s", error)
    return found


def _placed_cues(script: SubtitleSource, film: WorkDir) -> tuple[Cue, ...]:
    """Return the cues where an earlier run of the whole film put them; empty without one."""
    try:
        known, sound = read_cues_document(film.cues), read_sound(film.speech)
    except ArtifactError:
        return ()
    if known.origin != script.describe():
        return ()
    rate, offset_s = known.rate, sound.audio.offset_s

    def on_player(span: Span) -> Span:
        start, end = (round((at / rate + offset_s) * CUES_RATE) for at in (span.start, span.end))
        return Span(start, max(start + 1, end))

    return tuple(replace(cue, span=on_player(cue.span)) for cue in known.cues)


def _put(made: Path, out: Path, name: str) -> Path:
    """Leave the sample under a person's name for it; return the path."""
    path = _place(out, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(made, temporary)
        except OSError:
            shutil.copyfile(made, temporary)
    return path


def _place(out: Path, name: str = "sample.mkv") -> Path:
    """Return the path of a sample, below a folder or as a file that a person named."""
    named = out.suffix.lower() == ".mkv" and not out.is_dir()
    return out if named else out / name


def _speaker(found: Mapping[str, Any]) -> SampleSpeaker:
    voices = {language: str(each["voice"]) for language, each in found["voices"].items()}
    return SampleSpeaker(found["speaker"], found["name"], found["lines"], voices)
