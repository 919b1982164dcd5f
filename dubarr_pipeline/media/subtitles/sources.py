"""Subtitles of a film: in its container, and in files beside it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.files import composed
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitles.encoding import decode_text
from dubarr_pipeline.media.subtitles.kept_originals import place_before
from dubarr_pipeline.media.subtitles.parse import parse_cues
from dubarr_pipeline.text.language_guess import LanguageGuess, guess_language
from dubarr_pipeline.text.languages import (
    closeness,
    display_name,
    language_tag,
    named_language,
    same_language,
)
from dubarr_pipeline.text.tables import read_table

_log = logging.getLogger(__name__)

SubtitleKind = Literal["full", "sdh", "forced", "commentary"]
Origin = Literal["sidecar", "embedded"]

_TEXT_FILES = {".srt": "srt", ".ass": "ass", ".ssa": "ass", ".vtt": "vtt"}
_TABLES = read_table("dubarr_pipeline.media.subtitles", "names")
_WORDS = {name: frozenset(words) for name, words in _TABLES["words"].items()}
SUBTITLE_SUFFIXES = frozenset(_TEXT_FILES)
_SEPARATORS = ".-_ [({"
_SPLIT, _SPLIT_FURTHER = re.compile(r"[.\s\[\](){}]+"), re.compile(r"[-_]+")
_READ_BYTES = 200_000
"""Enough of a file to tell its language: its first hour."""
_RECOGNISED = 0.8
"""Confidence from which a file that names no language is in the one that it reads like."""
_SPARSE_SHARE = 0.2
"""Share of the cues of another stream in its language below which a stream is a forced one."""


@dataclass(frozen=True, slots=True)
class _Signs:
    """Signs of a kind: a stream's flags, words in a file's name, a stream's title."""

    flags: frozenset[str]
    words: frozenset[str]
    title: re.Pattern[str]


_KINDS = TypeAdapter(dict[SubtitleKind, _Signs]).validate_python(_TABLES["kinds"])
_FLAG_WORDS = frozenset({"default"}).union(*(signs.words for signs in _KINDS.values()))


@dataclass(frozen=True, slots=True)
class SubtitleSource:
    """One subtitle of a film.

    Attributes:
        kind: ``sdh`` also names speakers and sounds; ``forced`` holds foreign parts and signs only.
        path: the file to read: the sidecar, or the film.
        index: the stream's number in the container; None for sidecars.
        form: ``srt``, ``ass`` or ``vtt``; another name for an unusable one.
        language: BCP-47, or None where none is named.
        problem: the reason why it cannot be used as text, or None.
        rank: its place in `find_subtitles`, 0 for the best.
    """

    kind: SubtitleKind
    origin: Origin
    path: Path
    form: str
    index: int | None = None
    language: str | None = None
    title: str | None = None
    is_default: bool = False
    problem: str | None = None
    rank: int = 0

    def is_same(self, other: SubtitleSource | None) -> bool:
        """Return whether both are one subtitle, whatever language it was looked for in."""
        return other is not None and (self.path, self.index) == (other.path, other.index)

    def describe(self) -> str:
        """Return a line that names this subtitle for people."""
        where = self.path.name if self.index is None else f"stream #{self.index}"
        about = f"{where} ({self.language or 'language unknown'}, {self.kind}, {self.form})"
        return f"{about}: {self.problem}" if self.problem else about


def find_subtitles(info: MediaInfo, language: str | None = None) -> list[SubtitleSource]:
    """Return all subtitles of a film, the best script first, the unusable ones last.

    Those in `language` go first, then those that name none. Sidecars go before embedded ones: a
    person put them there, and can correct them. Then SDH before plain ones, because they name the
    speakers; forced ones and commentaries last.

    A file beside the film that names no language is in the one that it reads like. One that surely
    does not hold the language that it names is unusable; of a named `language`, only its own files
    are looked into. (Embedded ones take a whole read of the film: see `read.check_language`.)
    """
    beside = [_with_content(source, language) for source in _sidecars(info.path)]
    subtitles = [*beside, *_embedded(info)]
    ordered = sorted(subtitles, key=lambda source: _order(source, language))
    return [replace(source, rank=rank) for rank, source in enumerate(ordered)]


def _with_content(source: SubtitleSource, wanted: str | None) -> SubtitleSource:
    """Return a file with the language of its content, where it names none or a wrong one."""
    # "hi" may not be Hindi.
    known = source.language not in (None, "hi")
    other = known and wanted and not same_language(source.language, wanted)
    if source.problem or other or source.kind not in ("full", "sdh"):
        return source
    try:
        found = source.path.stat()
        state = (source.language, found.st_size, found.st_mtime_ns)
        guess, problem = _read_language(source.path, source.form, *state)
    except OSError as error:
        return replace(source, problem=f"it cannot be read ({error.strerror})")
    if source.language is None and guess.confidence >= _RECOGNISED:
        return replace(source, language=guess.language)
    if source.language == "hi" and problem:
        # Not Hindi, but for the hard of hearing.
        return replace(source, language=guess.language, kind="sdh")
    return replace(source, problem=problem)


@lru_cache(maxsize=1024)
def _read_language(
    path: Path, form: str, named: str | None, _size: int, _changed_ns: int
) -> tuple[LanguageGuess, str | None]:
    """Return the language that a file reads like, and the problem if it names another."""
    with path.open("rb") as file:
        text = decode_text(file.read(_READ_BYTES), named)
    try:
        guess = guess_language(cue.text for cue in parse_cues(text, form))
        problem = language_problem(guess, named)
    except NoScript as error:
        guess, problem = guess_language(()), str(error)
    if problem:
        _log.warning("%s is not used: %s", path, problem)
    return guess, problem


def language_problem(guess: LanguageGuess, named: str | None, spoken: str = "") -> str | None:
    """Return the problem of a subtitle that surely does not hold the language that it names.

    One that names none is held against the language that is `spoken`.
    """
    wanted = named or spoken
    if not guess.contradicts(wanted):
        return None
    label = f"is labelled {display_name(wanted)}" if named else "names no language"
    spoken = "" if named else f", and {display_name(wanted)} is spoken"
    return (
        f"it {label} but reads like {display_name(guess.language)}{spoken}: "
        "label it with its own language"
    )


def _order(source: SubtitleSource, language: str | None) -> tuple[object, ...]:
    kinds: tuple[SubtitleKind, ...] = ("sdh", "full", "commentary", "forced")
    distance = 0
    if language:
        distance = -closeness(source.language, language) if source.language else -0.5
    return (
        source.problem is not None,
        source.kind not in ("sdh", "full"),
        distance,
        source.origin == "embedded",
        kinds.index(source.kind),
        not source.is_default,
        -1 if source.index is None else source.index,
        os.fsencode(source.path),
    )


def _embedded(info: MediaInfo) -> Iterator[SubtitleSource]:
    max_cues: dict[str | None, int] = {}
    streams = [stream for stream in info.subtitles if info.in_programme(stream)]
    for stream in streams:
        max_cues[stream.language] = max(max_cues.get(stream.language, 0), _cue_count(stream))
    for stream in streams:
        kind = _kind(stream.dispositions, stream.title or "")
        cues = _cue_count(stream)
        if kind == "full" and cues and cues < _SPARSE_SHARE * max_cues[stream.language]:
            kind = "forced"
        yield SubtitleSource(
            kind,
            "embedded",
            info.path,
            stream_form(stream.codec),
            stream.index,
            stream.language,
            stream.title,
            "default" in stream.dispositions,
            _problem(stream.codec),
        )


def is_text(codec: str) -> bool:
    """Return whether an embedded subtitle of this codec can be read as text."""
    return codec in _WORDS["text_codecs"]


def stream_form(codec: str) -> str:
    """Return the form in which an embedded subtitle is extracted: srt, ass or vtt."""
    if codec in ("ass", "ssa"):
        return "ass"
    if codec == "webvtt":
        return "vtt"
    return "srt" if is_text(codec) else codec


def _problem(codec: str) -> str | None:
    if codec in _WORDS["picture_codecs"]:
        return "made of pictures, not of text: convert it with an OCR tool, put the SRT beside it"
    return None if is_text(codec) else f"{codec} subtitles cannot be read: convert to SRT"


def _kind(flags: Set[str], title: str = "", words: Set[str] = frozenset()) -> SubtitleKind:
    for kind, signs in _KINDS.items():
        if flags & signs.flags or words & signs.words or signs.title.search(title):
            return kind
    return "full"


def _cue_count(stream: Stream) -> int:
    """Return the number of cues by Matroska's statistics tags; 0 without them."""
    for key, value in stream.tags.items():
        if key.startswith("number_of_frames") and value.isdigit():
            return int(value)
    return 0


def _sidecars(film: Path) -> Iterator[SubtitleSource]:
    video = place_before(film)
    names = _names(video.parent)
    # Other videos whose names begin with this one's have subtitles of their own.
    own = composed(video.stem)
    videos = list(filter(is_video_name, names))
    stems = (composed(name.rsplit(".", 1)[0]) for name in videos)
    rivals = tuple(stem for stem in stems if _rest(stem, own))
    yield from _in_folder(video, video.parent, names, rivals)
    alone = all(name == video.name for name in videos)
    for name in names:
        folder = video.parent / name
        if not (is_subtitle_folder(name) and folder.is_dir()):
            continue
        inner = _names(folder)
        yield from _in_folder(video, folder, inner, rivals, anything=alone)
        for own_folder in (each for each in inner if composed(each) == own):
            subfolder = folder / own_folder
            if subfolder.is_dir():
                yield from _in_folder(video, subfolder, _names(subfolder), rivals, anything=True)


def is_subtitle_folder(name: str) -> bool:
    """Return whether subtitles lie in a folder of this name beside a film.

    Those places are: the film's folder; ``Subs`` and the like in it, where files without the film's
    name are of the only film; and a folder of the film's name in that, where all are.
    """
    return name.casefold() in _WORDS["folders"]


def is_video_name(name: str) -> bool:
    """Return whether a file of this name is a video, whose subtitles are its own."""
    return _suffix(name) in _WORDS["video_files"]


def stems_named(subtitle: str) -> set[str]:
    """Return the stems (accents composed) of all films that a subtitle's name may be about."""
    bare = composed(subtitle.rsplit(".", 1)[0])
    return {bare, *(bare[:at] for at, sign in enumerate(bare) if at and sign in _SEPARATORS)}


def _in_folder(
    video: Path, folder: Path, names: list[str], rivals: tuple[str, ...], anything: bool = False
) -> Iterator[SubtitleSource]:
    for name in names:
        if _suffix(name) not in _TEXT_FILES.keys() | _WORDS["other_files"]:
            continue
        words = _words_after(name, video.stem, rivals)
        if words is None and anything:
            # Scene releases name them like this: Subs/2_English.srt
            words = _SPLIT.split(name.rsplit(".", 1)[0])
        try:
            if words is not None and (folder / name).is_file():
                yield _sidecar(folder / name, words)
        # It leads to where we may not look.
        except OSError as error:
            _log.warning("%s is not read: %s", folder / name, error.strerror)


def _sidecar(path: Path, words: list[str]) -> SubtitleSource:
    suffix = path.suffix.lower()
    language, rest = _language_of([word for word in words if word])
    flags = {word.casefold() for word in rest}
    problem = None
    if suffix in _WORDS["other_files"]:
        problem = f"{suffix[1:]} files cannot be read as text: convert to SRT"
    form = _TEXT_FILES.get(suffix, suffix[1:])
    title = " ".join(rest) or None
    kind = _kind(frozenset(), words=flags)
    return SubtitleSource(
        kind, "sidecar", path, form, None, language, title, "default" in flags, problem
    )


def _language_of(words: list[str]) -> tuple[str | None, list[str]]:
    """Return the language that the last such word of a file name tells, and the other words.

    A word may be a tag (``pt-BR``), or several by hyphens (``eng-forced``). ``hi`` may be Hindi or
    SDH: ``.en.hi`` is English for the hard of hearing (Bazarr), ``.hi`` alone is Hindi.
    """
    finer = [part for word in words for part in _parts(word)]
    for parts, allowed in ((words, ()), (finer, ()), (finer, ("hi",))):
        for i, part in reversed(list(enumerate(parts))):
            flags = {each.casefold() for each in _SPLIT_FURTHER.split(part)} & _FLAG_WORDS
            if flags.issubset(allowed) and (tag := named_language(part)):
                others = parts[:i] + parts[i + 1 :]
                rest = [each for other in others for each in _SPLIT_FURTHER.split(other)]
                rest = [each for each in rest if not each.isdigit()]
                return language_tag(tag, " ".join(rest)), rest
    return None, finer


def _words_after(name: str, stem: str, rivals: tuple[str, ...]) -> list[str] | None:
    """Return the words between a film's name and a subtitle's suffix; None if it is another's."""
    bare = composed(name.rsplit(".", 1)[0])
    rest = _rest(bare, composed(stem))
    if rest is None or any(_rest(bare, rival) is not None for rival in rivals):
        return None
    words = _SPLIT.split(rest)
    # Behind a dot may stand anything; "Film 2" and "Film-Extras" are not about "Film".
    parts = [part for word in words if word for part in _parts(word)]
    told = all(_tells(part) and not part.isdigit() for part in parts)
    return words if told or rest[:1] == "." else None


def _parts(word: str) -> list[str]:
    """Return the words that hyphens join if all of them tell something: ``eng-forced``, ``pt-BR``.

    Others stay whole: ``BR-Rip`` is not Breton.
    """
    parts: list[str] = []
    for part in filter(None, _SPLIT_FURTHER.split(word)):
        tag = f"{parts[-1]}-{part}" if parts and part.casefold() not in _FLAG_WORDS else ""
        if named_language(tag):
            parts[-1] = tag
        else:
            parts.append(part)
    return parts if all(map(_tells, parts)) else [word]


def _tells(word: str) -> bool:
    return (
        word.isdigit()
        or word.casefold() in _FLAG_WORDS | _WORDS["neutral"]
        or bool(named_language(word))
    )


def _rest(name: str, stem: str) -> str | None:
    """Return what follows a film's name in another; None if that is not about the film."""
    rest = name.removeprefix(stem)
    return rest if name == stem or (rest != name and rest[0] in _SEPARATORS) else None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
