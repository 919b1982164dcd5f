"""Which audio stream is dubbed."""

from __future__ import annotations

import re

from dubarr_pipeline.errors import NoAudio
from dubarr_pipeline.media.languages import closeness
from dubarr_pipeline.media.streams import MediaInfo, Stream

_ASIDE_FLAGS = frozenset(("comment", "visual_impaired", "descriptions", "karaoke", "lyrics"))
_MUSIC_FLAGS = frozenset(("clean_effects",))
_ASIDE_TITLE = re.compile(
    r"comm?ent[aá]r|commentaire|commento|kommentar|коммент|komentarz|komentář|kommentti|yorum|评论|評論|解説"
    r"|コメンタリー|해설|director'?s? (talk|notes)"
    r"|descri(ptive|ption|zione|ç|pci)|deskrip|\bdvs\b|\bad\b|h[öo]rfilm|visually.impaired"
    r"|тифло|audiodeskryp|isolated.score|(score|music) only|music.and.effects|\bm ?& ?e\b|karaoke",
    re.IGNORECASE,
)
_NO_TIME = re.compile(r"0+(:0+)*(\.0+)?")
_DUB_TITLE = re.compile(r"·\s*dub\b", re.IGNORECASE)


def choose_audio(info: MediaInfo, language: str | None = None, index: int | None = None) -> Stream:
    """Return the audio stream that is dubbed.

    Streams that cannot be decoded, or hold no packet by their own account, are left out. The rule,
    each step deciding only among what the ones before left equal:

    1. the stream of that `index`, whatever it is, if one is named;
    2. programme before commentary, audio description, isolated score and the like (told by the
       flags, and by the title in many languages);
    3. the wanted `language`: exact, then another region of it, then a stream that names none;
    4. no dub before a dub, flagged or made by dubarr; flagged as original before not;
    5. flagged as default before not;
    6. more channels before fewer; then the first.

    Args:
        info: the video, as probed.
        language: BCP-47 of what is spoken, where it is known.
        index: ffmpeg's number of the stream, as `Stream.index`.

    Raises:
        NoAudio: if there is none, or none in that language or of that index; it lists the choices.
    """
    if not info.audio:
        raise NoAudio(f"{info.path} has no audio stream: there is nothing to dub")
    if index is not None:
        return _by_index(info, index)
    known = [s for s in info.audio if s.channels and s.rate and s.codec != "unknown"]
    counted = [stream for stream in known if not _has_no_frames(stream)]
    if known and not counted:
        raise NoAudio(f"no audio stream of {info.path} holds any sound: {_choices(info)}")
    # A duration of naught may be a sound shorter than the container's clock: extraction tells.
    usable = [stream for stream in counted if not _has_no_duration(stream)] or counted
    if not usable:
        raise NoAudio(f"no audio stream of {info.path} can be decoded: {_choices(info)}")
    best = max(usable, key=lambda stream: _rank(stream, language))
    if language and best.language and not closeness(best.language, language):
        raise NoAudio(
            f"{info.path} has no audio in {language!r}: {_choices(info)}; "
            "name one by its number, or another source language"
        )
    return best


def _has_no_frames(stream: Stream) -> bool:
    """Whether a container's own statistics say that there is nothing in a stream."""
    return any(value.strip() == "0" for value in _told(stream, "number_of_frames"))


def _has_no_duration(stream: Stream) -> bool:
    return any(_NO_TIME.fullmatch(value.strip()) for value in _told(stream, "duration"))


def _told(stream: Stream, kind: str) -> list[str]:
    """A statistic; Matroska's muxers append a language to its name: NUMBER_OF_FRAMES-eng."""
    return [value for name, value in stream.tags.items() if name.split("-")[0] == kind]


def is_aside(stream: Stream) -> bool:
    """Whether a stream is beside the programme: commentary, audio description, score alone."""
    flags = _ASIDE_FLAGS | _MUSIC_FLAGS
    return bool(stream.dispositions & flags) or bool(_ASIDE_TITLE.search(stream.title or ""))


def _by_index(info: MediaInfo, index: int) -> Stream:
    for stream in info.audio:
        if stream.index == index:
            return stream
    raise NoAudio(f"{info.path} has no audio stream #{index}: {_choices(info)}")


def _rank(stream: Stream, language: str | None) -> tuple[int, ...]:
    dub = "dub" in stream.dispositions or bool(_DUB_TITLE.search(stream.title or ""))
    return (
        not is_aside(stream),
        _match(stream, language),
        not dub,
        "original" in stream.dispositions,
        "default" in stream.dispositions,
        stream.channels,
        -stream.index,
    )


def _match(stream: Stream, language: str | None) -> int:
    """How well the stream's language answers the wish; one that names none beats a wrong one."""
    if not language:
        return 0
    if not stream.language:
        return 1
    close = closeness(stream.language, language)
    return 1 + close if close else 0


def _choices(info: MediaInfo) -> str:
    return "; ".join(stream.describe() for stream in info.audio)
