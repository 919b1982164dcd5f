"""Libraries: watched folders of films, with their languages, rules and quiet hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.config.path_mappings import mapped_path, pure_path
from dubarr_pipeline.engines.registry import PROFILES
from dubarr_pipeline.files import composed
from dubarr_pipeline.media.container.streams import MediaInfo, is_aside
from dubarr_pipeline.text.languages import (
    display_name,
    parse_languages,
    same_language,
    standard_tag,
)

PublishMode = Literal["none", "beside", "sidecar", "tree", "replace"]
ServerKind = Literal["radarr", "sonarr", "jellyfin", "emby", "plex", "kodi"]
SKIP_MARK = ".dubarr_skip"
"""Name of a file that excludes its folder; ``{stem}.dubarr_skip`` beside a film excludes it."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Destination of finished films.

    Attributes:
        mode: ``none``: films stay in the work folder. ``beside``: ``Film - dubbed.mkv`` next to the
            source. ``sidecar``: one ``Film.es.mka`` per language next to it. ``tree``: the same
            path in another folder. ``replace``: in the place of the source, which is kept for a
            while.
        to: the other folder, for ``tree``; absolute.
        url: a folder in an object store in its place, as fsspec writes it: ``s3://bucket/films``.
        label: text after the name, for ``beside``.
        keep_original_days: days to keep the original, for ``replace``; 0: forever.
    """

    mode: PublishMode = "none"
    to: Path = Path()
    url: str = ""
    label: str = " - dubbed"
    keep_original_days: int = 30

    def __post_init__(self) -> None:
        if self.mode == "tree" and self.to.is_absolute() == bool(self.url):
            raise ValueError('mode = "tree" needs the absolute path of a folder in `to`, or `url`')
        if self.url and (self.mode != "tree" or "://" not in self.url):
            raise ValueError('url is for mode = "tree", and begins with a scheme, like s3://')
        # It appears in messages and in published.json.
        if urlsplit(self.url).password is not None:
            raise ValueError("url must hold no password: docs/storage.md says where keys belong")
        if self.mode == "beside" and (not self.label.strip() or {"/", "\0"} & {*self.label}):
            raise ValueError("label must not be empty, nor hold a slash")


@dataclass(frozen=True, slots=True)
class RescanOptions:
    r"""A server that is notified of published films.

    Attributes:
        kind: ``radarr``, ``sonarr``, ``jellyfin``, ``emby``, ``plex`` or ``kodi``.
        url: address, with its base path if it has one: ``http://127.0.0.1:8096``.
        token_variable: environment variable that holds its key; for Kodi ``user:password``. Empty:
            the key that `dubarr setup` keeps for this address.
        path_mappings: our paths and the server's, ``"/mnt/media/tv" = "/tv"`` (or ``'D:\TV'``,
            ``'\\nas\tv'``); the deepest folder that matches counts.
        backoff_s: pause before the second of four attempts, in seconds; doubled each time.
        libraries: names of the libraries whose films it is told of; empty: all.
    """

    kind: ServerKind
    url: str
    token_variable: str = ""
    path_mappings: Mapping[str, str] = field(default_factory=dict[str, str])
    backoff_s: float = 2.0
    libraries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        if "@" in self.url or "?" in self.url:
            raise ValueError("url must hold no password and no key: they go into $token_variable")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def theirs(self, path: Path) -> str:
        """Return the server's path of a local one."""
        return mapped_path(str(path), self.path_mappings.items()) or str(path)


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules by which a library's films are dubbed. A rule at its default excludes nothing.

    Attributes:
        skip_existing_audio: leave out a target language that the video has as audio already.
        source_langs: only videos spoken in one of these BCP-47 languages; empty: all.
        include: only paths below the library that match one of these patterns (``*``, ``?``,
            ``[abc]``; capitals do not matter), e.g. ``"*/Season */*"``; empty: all.
        exclude: no paths that match one of these, e.g. ``"*sample*"``.
        min_size_mb: smallest file, in millions of bytes; 0: no limit.
        max_size_mb: largest file, in millions of bytes; 0: no limit.
        min_age_minutes: minutes since the file was last changed; 0: dubbed as soon as two scans
            agree.
        with_extras: dub trailers, samples, featurettes and other extras too, in folders or under
            names by which Plex, Jellyfin and Kodi know them.
        with_discs: dub the files within the folders of discs too (``BDMV``, ``VIDEO_TS``).
    """

    skip_existing_audio: bool = True
    source_langs: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size_mb: int = 0
    max_size_mb: int = 0
    min_age_minutes: int = 0
    with_extras: bool = False
    with_discs: bool = False

    def __post_init__(self) -> None:
        tags = tuple(standard_tag(tag) for tag in self.source_langs)
        object.__setattr__(self, "source_langs", tags)
        if 0 < self.max_size_mb < self.min_size_mb:
            raise ValueError("max_size_mb is below min_size_mb: no film could pass")


@dataclass(frozen=True, slots=True)
class Listed:
    """A film as its folder lists it: `below` is its path below the library."""

    below: PurePath
    size: int
    mtime_s: float


@dataclass(frozen=True, slots=True)
class LanguageProfile:
    """Named target languages for several libraries.

    Attributes:
        target_langs: BCP-47 tags of the tracks to make.
        overrides: settings for these videos alone, by dotted name: ``"mix.preset" = "duck"``.
    """

    target_langs: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))


@dataclass(frozen=True, slots=True)
class Library:
    """A folder of films, and the languages that they are dubbed into.

    Attributes:
        path: folder; everything below it belongs to the library.
        target_langs: BCP-47 tags of the tracks to make.
        profile: engine profile of its videos; empty: that of the settings.
        languages: name of a ``[language_profiles.NAME]``, in place of target_langs.
        tag_languages: tags of Radarr and Sonarr, and the language profiles that they choose in
            place of the library's languages: ``"dub-ca" = "catalan"``.
        overrides: settings for these videos alone, by dotted name: ``"mix.preset" = "duck"``.
        priority: -100 to 100; videos of a higher one go first, libraries of the same take turns.
        quiet_hours: times of day (local) in which no video is started, e.g. ``["18:00-23:30"]``;
            running ones go on.
        path_mappings: other programs' paths and ours, ``"/tv" = "/mnt/media/tv"``; the deepest
            folder that matches counts.
        outside_links: follow symbolic links that lead out of the library.
        rules: the choice of its films that are dubbed.
        gate: the bounds that its films must keep to be published; those of ``[gate]`` by default.
        publish: the destination of its finished films.
    """

    path: Path
    target_langs: tuple[str, ...] = ()
    profile: str = ""
    languages: str = ""
    tag_languages: Mapping[str, str] = field(default_factory=dict[str, str])
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    priority: int = 0
    quiet_hours: tuple[str, ...] = ()
    path_mappings: Mapping[str, Path] = field(default_factory=dict[str, Path])
    outside_links: bool = False
    rules: Rules = field(default_factory=Rules)
    gate: GateOptions = field(default_factory=GateOptions)
    publish: PublishOptions = field(default_factory=PublishOptions)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.expanduser())
        if not self.path.is_absolute() or "\0" in str(self.path):
            raise ValueError(f"path {str(self.path)!r} must be absolute, or begin with ~")
        self._check_languages()
        if self.profile and self.profile not in PROFILES:
            raise ValueError(f"unknown profile {self.profile!r} (choices: {', '.join(PROFILES)})")
        for text in self.quiet_hours:
            parse_hours(text)
        if self.publish.mode == "sidecar":
            object.__setattr__(self, "overrides", {**self.overrides, "mux.container": "mka"})
        for theirs, ours in self.path_mappings.items():
            if not (pure_path(theirs).is_absolute() and ours.is_absolute()):
                raise ValueError(f"path_mappings: {theirs!r} = {str(ours)!r} must both be absolute")

    def _check_languages(self) -> None:
        if self.languages and self.target_langs:
            raise ValueError("give target_langs, or the name of a language profile, not both")
        if not self.languages:
            object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))

    def mapped(self, theirs: str) -> Path:
        """Return the local path for a path that another program names."""
        named = ((each, str(ours)) for each, ours in self.path_mappings.items())
        return Path(mapped_path(theirs, named) or theirs)

    def holds(self, path: Path) -> bool:
        """Return whether a path is inside the library, with all links and ``..`` resolved."""
        try:
            return path.resolve().is_relative_to(self.path.resolve())
        except (OSError, RuntimeError, ValueError):
            return False


def parse_hours(text: str) -> tuple[time, time]:
    """Read ``"22:00-07:30"``. Raises `ValueError` with the text if that has another form."""
    try:
        ends = (datetime.strptime(each.strip(), "%H:%M").time() for each in text.split("-", 1))
        start, end = ends
    except ValueError:
        raise ValueError(f"quiet hours {text!r}: write them as '22:00-07:30'") from None
    if start == end:
        raise ValueError(f"quiet hours {text!r} are empty: leave them out, or correct them")
    return start, end


def is_quiet(written: tuple[str, ...], now: time) -> bool:
    """Return whether a time of day is within one of the periods, which may pass midnight."""
    periods = [parse_hours(text) for text in written]
    return any((a <= now < b) if a < b else (now >= a or now < b) for a, b in periods)


def listed_reason(rules: Rules, video: Listed, now_s: float) -> str | None:
    """Return the reason why a listed film is not dubbed at a Unix time, or None. Opens no file."""
    path = composed(str(video.below)).lower()
    if rules.include and not any(fnmatch(path, composed(e).lower()) for e in rules.include):
        return f"its path matches none of the patterns to include ({', '.join(rules.include)})"
    for each in rules.exclude:
        if fnmatch(path, composed(each).lower()):
            return f"its path matches the excluded pattern {each!r}"
    if video.size < rules.min_size_mb * _MB:
        return f"it has {video.size / _MB:.1f} MB, less than min_size_mb = {rules.min_size_mb}"
    if rules.max_size_mb and video.size > rules.max_size_mb * _MB:
        return f"it has {video.size / _MB:.1f} MB, more than max_size_mb = {rules.max_size_mb}"
    # A date in the future says nothing about the age of a file.
    age_minutes = (now_s - video.mtime_s) / 60
    if 0 <= age_minutes < rules.min_age_minutes:
        least = f"min_age_minutes = {rules.min_age_minutes}"
        return f"it was changed {age_minutes:.0f} minutes ago, and {least}"
    return None


def spoken_reason(rules: Rules, spoken: str | None) -> str | None:
    """Return the reason why a film in this language (None: unknown) is not dubbed, or None."""
    if not rules.source_langs or any(same_language(spoken, tag) for tag in rules.source_langs):
        return None
    wanted = ", ".join(rules.source_langs)
    if spoken is None:
        return f"its language is unknown, and only source_langs = {wanted} are dubbed"
    return f"it is spoken in {display_name(spoken)}, and only source_langs = {wanted} are dubbed"


def missing_targets(
    rules: Rules, info: MediaInfo, spoken: str | None, targets: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the target languages in which the film has no audio yet.

    A commentary or an audio description is not a dub; another region's dub is one.
    """
    present = [s.language for s in info.audio if info.in_programme(s) and not is_aside(s)]
    left = tuple(target for target in targets if not same_language(spoken, target))
    if not rules.skip_existing_audio:
        return left
    return tuple(t for t in left if not any(same_language(tag, t) for tag in present))
