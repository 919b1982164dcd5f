"""Admission of a library's films: may this one be dubbed, into which languages, or why not."""

import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.libraries import Library, missing_targets, spoken_reason
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.edits.document import settle_lines
from dubarr_pipeline.edits.people import mark_people
from dubarr_pipeline.errors import (
    DubbingError,
    LanguageError,
    MediaToolError,
    MissingRequirement,
    NoAudio,
    NoScript,
    NotAVideo,
    SourceChanged,
    SourceMissing,
    SpokenLanguage,
    WorkspaceError,
)
from dubarr_pipeline.files import check_writable, whole_file
from dubarr_pipeline.library.disk_space import check_video
from dubarr_pipeline.library.gate import inherit_decisions
from dubarr_pipeline.library.identities import identify_once
from dubarr_pipeline.library.publishing.files import check_destination
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.releases import find_earlier_release
from dubarr_pipeline.library.series.names import note_series
from dubarr_pipeline.library.source import (
    Source,
    check_not_spoken,
    inspect_audio,
    with_script,
)
from dubarr_pipeline.library.staging.folders import hand_over
from dubarr_pipeline.library.videos import (
    Video,
    find_by_digest,
    kept_answer,
    last_at,
    make_video,
    save_video,
    supersede,
)
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.mix.encode import SoundFormat, check_encoder
from dubarr_pipeline.media.mux.stream_plan import MARK, plan_streams
from dubarr_pipeline.media.subtitles.sources import find_subtitles
from dubarr_pipeline.text.languages import display_name, same_language
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline.workdir.layout import WorkDir, exclusive

_log = logging.getLogger(__name__)

_PASSING = (SourceMissing, SourceChanged, MediaToolError)
_BEGINNINGS = re.compile(
    rb"\x1aE\xdf\xa3|RIFF|OggS|FLV\x01|\x30\x26\xb2\x75|\x00\x00\x01[\xb3\xba]|G|.{4}G|.{4}(ftyp|moov|mdat|"
    rb"free|skip|wide|pnot)",
    re.DOTALL,
)
"""First bytes of containers of every kind."""
_UNREADY = (NoScript, NotAVideo, NoAudio, LanguageError)


@dataclass(frozen=True, slots=True)
class FilmNews:
    """News of a film from another program, or from a person.

    Attributes:
        tags: its labels there; None where they were not told.
        replaces: files of earlier releases that it takes the place of.
        by_person: a person chose its languages, which stay through its library's scans; None: no
            news of that.
        series: number of its series there; empty where it was not told.
    """

    tags: tuple[str, ...] | None = None
    replaces: tuple[Path, ...] = ()
    by_person: bool | None = None
    series: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why a film is not dubbed.

    Attributes:
        lasts: ``for good``; ``until it changes``: more of its file, or subtitles, may come;
            ``a while``: a disk or a lock may answer otherwise next time.
    """

    reason: str
    lasts: Literal["for good", "until it changes", "a while"] = "for good"


def register(
    source: Source,
    targets: tuple[str, ...],
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    library: str | None = None,
    news: FilmNews | None = None,
) -> Video:
    """Check everything that a film needs to be dubbed, then write its ``video.json``.

    Where another film had that path before, or was an earlier release of the same under another
    name (the news may name it), the new one starts with that one's corrections and lines; those
    that still fit are reused. `targets` are BCP-47 tags; `overrides` are settings for this video
    alone, by dotted name.

    Raises:
        SourceError: if the film cannot be dubbed.
        LanguageError: if a target is the source's own language, or no engine serves it.
        NotWritable: if the work folder cannot be used.
        DiskFull: if the disk has no room for all stages; the video is registered.
        VideoBusy: if another process works on it; its request stays as it was.
    """
    check_writable(settings.work_dir)
    check_targets(source, targets, settings)
    if settings.mux.container == "mkv":
        # The finished film must be able to keep all streams: plan_streams names one that cannot.
        kept = kept_answer(source.path, settings.work_dir)
        plan_streams(read_facts(source.path, kept), settings.mux)
    news = news or FilmNews()
    request = {"target_langs": targets, "profile": settings.profile, "library": library}
    request["overrides"] = overrides or {}
    video = make_video(source.path, settings.work_dir, source.identity, **request)
    work = video.work(settings.work_dir)
    with exclusive(work):
        named = [last_at(path, settings.work_dir) for path in news.replaces if not path.exists()]
        released = (*named, find_earlier_release(source.path, settings.work_dir))
        gone = {old.key: old for old in released if old and old.key != video.key}
        before = last_at(source.path, settings.work_dir)
        for old in (before, *gone.values()):
            if old and old.key != video.key:
                inherit_lines(old.work(settings.work_dir), work)
                video = replace(
                    video,
                    tags=video.tags or old.tags,
                    by_person=video.by_person or (old.by_person and old.target_langs == targets),
                    series=video.series or old.series,
                )
        if news.tags is not None:
            video = replace(video, tags=news.tags)
        if news.series:
            video = replace(video, series=news.series)
            note_series(video, settings.work_dir)
        if news.by_person is not None:
            video = replace(video, by_person=news.by_person)
        save_video(video, settings.work_dir)
        for old in gone.values():
            supersede(old, video, settings.work_dir)
        hand_over(video.key, settings)
    check_video(source.path, len(targets), settings, work.root)
    return video


def check_targets(source: Source, targets: tuple[str, ...], settings: Settings) -> None:
    """Check that every target language can be made, as the settings have it.

    Raises:
        SpokenLanguage: if it is spoken in the film.
        LanguageError: if no engine serves it.
        SettingsError: if the encoder refuses the bitrate.
    """
    heard, mix = source.audio, settings.mix
    if mix.bitrate_kbps is not None:
        sound = SoundFormat(heard.rate, heard.channels, heard.layout)
        check_encoder(mix.codec, sound, mix.bitrate_kbps)
    check_not_spoken(source, targets)
    translator = profile_engines.translator(settings, tuple(source.translations(targets)))
    for target in targets:
        if source.language and not translator.serves(source.language, target):
            others = ", ".join(translator.targets(source.language)) or "none"
            found = [s for s in find_subtitles(source.info, target) if s.problem]
            unusable = [
                f"; not used: {s.describe()}" for s in found if same_language(s.language, target)
            ]
            raise LanguageError(
                f"{str(source.path)!r}: no translator from {display_name(source.language)} to "
                f"{display_name(target)} here: "
                f"put {source.path.stem}.{target}.srt beside the video, or choose another "
                f"engine ({translator.name} serves: {others}){''.join(unusable)}"
            )
        profile_engines.check_voices(settings, (target,), f"{str(source.path)!r}: ")


def inherit_lines(old: WorkDir, new: WorkDir) -> None:
    """Start a new work folder with another's corrections, decisions, cast, drafts and takes.

    Corrections find their lines in the new script by the words of the old one. Every line is
    reused or redone by its own fingerprint, so that only lines that fit are reused. Files that
    the new folder already has stay; it may be repeated after a kill.
    """
    if new.journal.exists() or not old.root.is_dir():
        return
    for source, copy in ((old.edits, new.edits), (old.segments / "takes", new.segments / "takes")):
        if source.is_dir() and not copy.exists():
            # Renamed at the end, so that it is there whole or not at all.
            part = copy.with_name(f".{copy.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source, part, ignore=shutil.ignore_patterns(".*"))
            part.rename(copy)
    settle_lines(new, old)
    inherit_decisions(old, new)
    # The journal goes last: it names the takes, and with it the copy counts as complete.
    for name in ("cast", "lengths", "journal"):
        source, copy = getattr(old, name), getattr(new, name)
        if name == "journal":
            mark_people(new, old)
        if source.is_file():
            with whole_file(copy) as temporary:
                shutil.copyfile(source, temporary)
    _log.info("%s starts with the lines of %s", new.root.name, old.root.name)


@dataclass(frozen=True, slots=True)
class Admission:
    """Decision on a library's film: its target languages, or the reason why it has none.

    Attributes:
        targets: BCP-47 tags; empty where it is not dubbed.
        source: the film; None where it could not be inspected.
        fault: the error behind the reason.
    """

    targets: tuple[str, ...] = ()
    reason: str | None = None
    source: Source | None = None
    fault: DubbingError | None = None


def decide_admission(
    path: Path, library: Library, settings: Settings, identity: FileIdentity | None = None
) -> Admission:
    """Decide whether a film is dubbed. Reads headers only.

    Raises:
        MissingRequirement, WorkspaceError: for faults that are not the film's.
    """
    settings = settings.for_library(library)
    try:
        source = inspect_audio(path, settings, identity)
        if any(MARK in {name.lower() for name in each.tags} for each in source.info.audio):
            return Admission(reason="it is a dubbed film that dubarr made", source=source)
        # A film that the rules refuse needs no script.
        if source.language and not (admission := _apply_rules(source, library)).targets:
            return admission
        source = with_script(source, settings, library.target_langs)
        admission = _apply_rules(source, library)
        check_targets(source, admission.targets, settings)
    except (MissingRequirement, WorkspaceError):
        raise
    except DubbingError as error:
        return Admission(reason=str(error), fault=error)
    return admission


def _apply_rules(source: Source, library: Library) -> Admission:
    """Apply a library's rules to a film whose language is known as well as it can be."""
    if reason := spoken_reason(library.rules, source.language):
        return Admission(reason=reason, source=source)
    targets = missing_targets(library.rules, source.info, source.language, library.target_langs)
    if not targets:
        reason = f"it already has {', '.join(library.target_langs)} audio"
    return Admission(targets, reason, source)


def admit(
    path: Path,
    name: str,
    library: Library,
    settings: Settings,
    news: FilmNews | None = None,
) -> Video | Refusal:
    """Register a library's film, or return the reason why it is not dubbed.

    A film is read to its end if it is to be dubbed, and was not read before.

    Raises:
        MissingRequirement, WorkspaceError: for faults that are not the film's.
    """
    if not (library.outside_links or library.holds(path)):
        return Refusal(f"{str(path)!r} is not inside library {name!r} ({library.path})")
    try:
        path, identity = original_of(path, settings)
        admission = decide_admission(path, library, settings, identity)
        if admission.targets:
            return _admit_read(path, name, library, settings, news)
    except (MissingRequirement, WorkspaceError):
        raise
    except DubbingError as error:
        return refusal_of(error, path)
    if admission.fault:
        return refusal_of(admission.fault, path)
    return Refusal(admission.reason or "there is nothing to do")


def _admit_read(
    path: Path, name: str, library: Library, settings: Settings, news: FilmNews | None
) -> Video | Refusal:
    """Admit a film that is to be dubbed by its headers, now by its content too."""
    identity = identify_once(path, settings.work_dir)
    twin = _find_twin(path, identity, settings)
    if twin and twin.library not in (None, name):
        where = f"{str(twin.source)!r} in library {twin.library!r}"
        return Refusal(f"{str(path)!r} is a copy of {where}")
    if twin and twin.library == name:
        path, identity = twin.source, identify_once(twin.source, settings.work_dir)
    admission = decide_admission(path, library, settings, identity)
    if not (admission.source and admission.targets):
        return Refusal(admission.reason or "there is nothing to do")
    settings = settings.for_library(library)
    check_destination(path, admission.targets, library.path, library.publish, settings.work_dir)
    targets, overrides = admission.targets, library.overrides
    return register(admission.source, targets, settings, overrides, name, news)


def refusal_of(fault: DubbingError, path: Path) -> Refusal:
    """Return a film's fault as a refusal, and how long it may last."""
    if isinstance(fault, _PASSING):
        return Refusal(str(fault), "a while")
    unready = isinstance(fault, _UNREADY) and not isinstance(fault, SpokenLanguage)
    unready = unready and (not isinstance(fault, NotAVideo) or may_grow(path))
    return Refusal(str(fault), "until it changes" if unready else "for good")


def may_grow(path: Path) -> bool:
    """Return whether a file that is no video may be the beginning of one that is being copied."""
    with path.open("rb") as file:
        head = file.read(64)
    return not head.strip(b"\0") or bool(_BEGINNINGS.match(head))


def original_of(path: Path, settings: Settings) -> tuple[Path, FileIdentity | None]:
    """Return the kept original of a film that dubarr published in its place, or the film itself."""
    before = last_at(path, settings.work_dir)
    publication = read_publication(before.work(settings.work_dir)) if before else None
    if not (before and publication and publication.original):
        return path, None
    identity = identify_once(path, settings.work_dir)
    ours = any((p.path, p.digest) == (path, identity.digest) for p in publication.files)
    return (before.source, before.identity) if ours else (path, identity)


def _find_twin(path: Path, identity: FileIdentity, settings: Settings) -> Video | None:
    """Return the video of the same content that still has a file elsewhere; a moved one has not."""
    known = find_by_digest(settings.work_dir, identity.digest)
    if known is None or known.source == path or not known.source.is_file():
        return None
    # One more hard link changes the date of the inode: what was registered is still this file.
    found = known.source.stat()
    same = (found.st_size, found.st_mtime_ns) == (known.identity.size, known.identity.mtime_ns)
    return known if same else None
