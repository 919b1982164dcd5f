"""Which videos of a library are dubbed: what the listing tells, and what the container tells."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePath

from dubarr_pipeline.library.languages import display_name, standard_tag
from dubarr_pipeline.media.audio_choice import is_aside
from dubarr_pipeline.media.languages import same_language
from dubarr_pipeline.media.streams import MediaInfo

SKIP_MARK = ".dubarr_skip"
"""A file of this name in a folder, or ``{stem}.dubarr_skip`` beside a video, keeps us off."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a library is dubbed. A rule that is left at its default keeps nothing out.

    Attributes:
        skip_existing_audio: leave out a target language that the video has as audio already.
        source_langs: only videos spoken in one of these BCP-47 languages; empty: all.
        include: only paths below the library that match one of these patterns (``*``, ``?``,
            ``[abc]``; capitals do not matter), e.g. ``"*/Season */*"``; empty: all.
        exclude: no paths that match one of these, e.g. ``"*sample*"``.
        min_size_mb, max_size_mb: in millions of bytes; 0: no limit.
        min_age_minutes: since the file was last changed; 0: at once when it lies still.
    """

    skip_existing_audio: bool = True
    source_langs: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size_mb: int = 0
    max_size_mb: int = 0
    min_age_minutes: int = 0

    def __post_init__(self) -> None:
        tags = tuple(standard_tag(tag) for tag in self.source_langs)
        object.__setattr__(self, "source_langs", tags)
        for name in ("min_size_mb", "max_size_mb", "min_age_minutes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if 0 < self.max_size_mb < self.min_size_mb:
            raise ValueError("max_size_mb is below min_size_mb: no video could pass")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing of its folder tells of a video: `below` is its path below the library."""

    below: PurePath
    size: int
    mtime_s: float


def listed_reason(rules: Rules, video: Listed, now_s: float) -> str | None:
    """Say why a listed video is not dubbed (now), or None. Opens no file.

    Args:
        rules: the library's.
        video: as it is listed.
        now_s: seconds since 1970.
    """
    path = str(video.below).lower()
    if rules.include and not any(fnmatch(path, each.lower()) for each in rules.include):
        return f"its path matches none of the patterns to include ({', '.join(rules.include)})"
    for each in rules.exclude:
        if fnmatch(path, each.lower()):
            return f"its path matches the excluded pattern {each!r}"
    if video.size < rules.min_size_mb * _MB:
        return f"it has {video.size / _MB:.1f} MB, less than min_size_mb = {rules.min_size_mb}"
    if rules.max_size_mb and video.size > rules.max_size_mb * _MB:
        return f"it has {video.size / _MB:.1f} MB, more than max_size_mb = {rules.max_size_mb}"
    # A date in the future says nothing of a file's age.
    age_minutes = (now_s - video.mtime_s) / 60
    if 0 <= age_minutes < rules.min_age_minutes:
        return (
            f"it was changed {age_minutes:.0f} minutes ago, and "
            f"min_age_minutes = {rules.min_age_minutes}"
        )
    return None


def spoken_reason(rules: Rules, spoken: str | None) -> str | None:
    """Say why a video in this language is not dubbed, or None.

    Args:
        rules: the library's.
        spoken: BCP-47 of what is spoken, or None where an engine has yet to tell.
    """
    if not rules.source_langs or any(same_language(spoken, tag) for tag in rules.source_langs):
        return None
    wanted = ", ".join(rules.source_langs)
    if spoken is None:
        return f"nothing says what is spoken, and only source_langs = {wanted} are dubbed"
    return f"it is spoken in {display_name(spoken)}, and only source_langs = {wanted} are dubbed"


def missing_targets(
    rules: Rules, info: MediaInfo, spoken: str | None, targets: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the target languages that the video does not speak yet.

    A commentary or an audio description is no dub; another region's dub is one.
    """
    heard = [stream.language for stream in info.audio if not is_aside(stream)]
    left = tuple(target for target in targets if not same_language(spoken, target))
    if not rules.skip_existing_audio:
        return left
    return tuple(t for t in left if not any(same_language(tag, t) for tag in heard))
