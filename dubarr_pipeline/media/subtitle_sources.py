"""Which subtitles a video has: in its container, and in files beside it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dubarr_pipeline.media.languages import (
    closeness,
    language_tag,
    named_language,
    same_language,
)
from dubarr_pipeline.media.streams import MediaInfo, Stream

SubtitleKind = Literal["full", "sdh", "forced", "commentary"]
Origin = Literal["sidecar", "embedded"]

_TEXT_FILES = {".srt": "srt", ".ass": "ass", ".ssa": "ass", ".vtt": "vtt"}
_OTHER_FILES = frozenset((".sub", ".idx", ".sup", ".smi", ".ttml", ".dfxp", ".stl", ".mks"))
_TEXT_CODECS = frozenset(
    ("subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "subviewer", "subviewer1")
)
_PICTURES = frozenset(("hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub", "dvb_teletext"))
_VIDEO_FILES = frozenset(
    ".mkv .mp4 .m4v .mov .webm .avi .ts .m2ts .mts .mpg .mpeg .wmv .flv .ogm .ogv .vob".split()
)
_FOLDERS = frozenset(("subs", "subtitles", "sub"))
_SDH_WORDS = frozenset(("sdh", "cc", "hi", "hoh"))
_FORCED_WORDS = frozenset(("forced", "foreign", "signs", "songs"))
_FLAG_WORDS = _SDH_WORDS | _FORCED_WORDS | {"commentary", "default"}
_SDH_TITLE = re.compile(r"\b(sdh|cc|hoh|hearing.impaired|hard.of.hearing|closed.captions?)\b", re.I)
_FORCED_TITLE = re.compile(
    r"\b(forced|foreign|signs?|songs?|forc[ée]s?|forzados?|erzwungen)\b", re.I
)
_COMMENTARY_TITLE = re.compile(r"comment(ary|aire|o|ario|ário)|kommentar|коммент", re.I)
_SPARSE_SHARE = 0.2
"""A stream with under a fifth of the cues of another in its language carries foreign parts only."""


@dataclass(frozen=True, slots=True)
class SubtitleSource:
    """One subtitle that a video has.

    Attributes:
        kind: ``sdh`` also names speakers and sounds; ``forced`` holds foreign parts and signs only.
        path: the file to read: the sidecar, or the video.
        index: the stream's number in the container; None for sidecars.
        form: ``srt``, ``ass`` or ``vtt``; of an unusable one what it is instead.
        language: BCP-47, or None where none is named.
        is_default: flagged as default.
        problem: why it cannot be used as text, or None.
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

    def describe(self) -> str:
        """One line that tells a person which subtitle this is."""
        where = self.path.name if self.index is None else f"stream #{self.index}"
        about = f"{where} ({self.language or 'language unknown'}, {self.kind}, {self.form})"
        return f"{about}: {self.problem}" if self.problem else about


def find_subtitles(info: MediaInfo, language: str | None = None) -> list[SubtitleSource]:
    """Return all subtitles of a video, the best script first, those that cannot be used last.

    Sidecars go before embedded ones: somebody put them there on purpose, and can correct them. Then
    SDH before plain ones, because they name the speakers; forced ones and commentaries last.

    Args:
        info: the video, as probed.
        language: BCP-47; its subtitles first, then those that name no language, then the others.
    """
    found = [*_sidecars(info.path), *_embedded(info)]
    ordered = sorted(found, key=lambda source: _order(source, language))
    return [replace(source, rank=rank) for rank, source in enumerate(ordered)]


def _order(source: SubtitleSource, language: str | None) -> tuple[object, ...]:
    kinds: tuple[SubtitleKind, ...] = ("sdh", "full", "commentary", "forced")
    wish = 0
    if language:
        wish = -closeness(source.language, language) if source.language else -0.5
    return (
        source.problem is not None,
        source.kind not in ("sdh", "full"),
        wish,
        source.origin == "embedded",
        kinds.index(source.kind),
        not source.is_default,
        -1 if source.index is None else source.index,
        os.fsencode(source.path),
    )


def _embedded(info: MediaInfo) -> Iterator[SubtitleSource]:
    busiest = _most_cues(info)
    for stream in info.subtitles:
        kind = _stream_kind(stream)
        cues = _cue_count(stream)
        if kind == "full" and cues and cues < _SPARSE_SHARE * busiest.get(stream.language, 0):
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
    """Whether an embedded subtitle of this codec can be read as text."""
    return codec in _TEXT_CODECS


def stream_form(codec: str) -> str:
    """Return the form in which an embedded subtitle is taken out: srt, ass or vtt."""
    if codec in ("ass", "ssa"):
        return "ass"
    if codec == "webvtt":
        return "vtt"
    return "srt" if codec in _TEXT_CODECS else codec


def _problem(codec: str) -> str | None:
    if codec in _PICTURES:
        return "made of pictures, not of text: recognise it with an OCR tool and put the SRT beside"
    return None if codec in _TEXT_CODECS else f"{codec} subtitles cannot be read: convert to SRT"


def _stream_kind(stream: Stream) -> SubtitleKind:
    title, flags = stream.title or "", stream.dispositions
    if "forced" in flags or _FORCED_TITLE.search(title):
        return "forced"
    if "comment" in flags or _COMMENTARY_TITLE.search(title):
        return "commentary"
    hearing = "hearing_impaired" in flags or "captions" in flags
    return "sdh" if hearing or _SDH_TITLE.search(title) else "full"


def _most_cues(info: MediaInfo) -> dict[str | None, int]:
    busiest: dict[str | None, int] = {}
    for stream in info.subtitles:
        busiest[stream.language] = max(busiest.get(stream.language, 0), _cue_count(stream))
    return busiest


def _cue_count(stream: Stream) -> int:
    """Cues that Matroska's statistics tags tell of; 0 where they do not."""
    for key, value in stream.tags.items():
        if key.startswith("number_of_frames") and value.isdigit():
            return int(value)
    return 0


def _sidecars(video: Path) -> Iterator[SubtitleSource]:
    names = _names(video.parent)
    rivals = _rivals(video, names)
    yield from _in_folder(video, video.parent, names, rivals)
    alone = not any(_suffix(name) in _VIDEO_FILES and name != video.name for name in names)
    for name in names:
        folder = video.parent / name
        if name.casefold() not in _FOLDERS or not folder.is_dir():
            continue
        yield from _in_folder(video, folder, _names(folder), rivals, anything=alone)
        own = folder / video.stem
        if own.is_dir():
            yield from _in_folder(video, own, _names(own), rivals, anything=True)


def _in_folder(
    video: Path, folder: Path, names: list[str], rivals: tuple[str, ...], anything: bool = False
) -> Iterator[SubtitleSource]:
    for name in names:
        if _suffix(name) not in (*_TEXT_FILES, *_OTHER_FILES):
            continue
        words = _words_after(name, video.stem, rivals)
        if words is None and anything:
            # As scene releases name them: Subs/2_English.srt
            words = [w for w in re.split(r"[._\s-]+", name.rsplit(".", 1)[0]) if not w.isdigit()]
        if words is not None and (folder / name).is_file():
            yield _sidecar(folder / name, words)


def _sidecar(path: Path, words: list[str]) -> SubtitleSource:
    suffix = path.suffix.lower()
    language, rest = _language_of(words)
    flags = {word.casefold() for word in rest}
    kind: SubtitleKind = "full"
    if flags & _FORCED_WORDS:
        kind = "forced"
    elif "commentary" in flags:
        kind = "commentary"
    elif flags & _SDH_WORDS:
        kind = "sdh"
    problem = None
    if suffix in _OTHER_FILES:
        problem = f"{suffix[1:]} files cannot be read as text: convert to SRT"
    form = _TEXT_FILES.get(suffix, suffix[1:])
    title = " ".join(rest) or None
    return SubtitleSource(
        kind, "sidecar", path, form, None, language, title, "default" in flags, problem
    )


def _language_of(words: list[str]) -> tuple[str | None, list[str]]:
    """The last word of a file name that is a language, and the others; ``hi`` may be Hindi, or SDH.

    ``.en.hi`` is English for the hard of hearing (Bazarr), ``.hi`` alone is Hindi.
    """
    tagged = [(i, tag) for i, word in enumerate(words) if (tag := named_language(word))]
    clear = [(i, tag) for i, tag in tagged if words[i].casefold() not in _FLAG_WORDS]
    hindi = [(i, tag) for i, tag in tagged if words[i].casefold() == "hi"]
    for i, tag in reversed(clear or hindi):
        rest = words[:i] + words[i + 1 :]
        return language_tag(tag, " ".join(rest)), rest
    return None, words


def _words_after(name: str, stem: str, rivals: tuple[str, ...]) -> list[str] | None:
    """The words between a video's name and a subtitle's suffix; None if it is another video's."""
    bare, own = _fold(name.rsplit(".", 1)[0]), _fold(stem)
    if bare != own and not bare.startswith(own + "."):
        return None
    if any(bare == rival or bare.startswith(rival + ".") for rival in rivals):
        return None
    return [word for word in re.split(r"[.]", bare[len(own) + 1 :]) if word]


def _rivals(video: Path, names: list[str]) -> tuple[str, ...]:
    """Names of other videos that begin with this one's: their subtitles are not ours."""
    own = _fold(video.stem)
    others = (_fold(name.rsplit(".", 1)[0]) for name in names if _suffix(name) in _VIDEO_FILES)
    return tuple(other for other in others if other.startswith(own + "."))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path


def _fold(name: str) -> str:
    """Compose accents: macOS writes them decomposed, others do not, and both are the same name."""
    return unicodedata.normalize("NFC", name)


def matches(source: SubtitleSource, language: str) -> bool:
    """Whether a subtitle is in a language, regions apart."""
    return same_language(source.language, language)
