"""Taking a video in: everything that can be known to go wrong is said before any work starts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import LanguageError, NoScript
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.disk_budget import check_video
from dubarr_pipeline.library.languages import display_name, standard_tag
from dubarr_pipeline.library.upgrades import inherit_lines
from dubarr_pipeline.library.videos import Video, find_source, last_at, make_video, save_video
from dubarr_pipeline.media.audio_choice import choose_audio
from dubarr_pipeline.media.container_facts import read_facts
from dubarr_pipeline.media.languages import same_language
from dubarr_pipeline.media.mux_options import MuxOptions
from dubarr_pipeline.media.probe import probe_video
from dubarr_pipeline.media.stream_plan import plan_streams
from dubarr_pipeline.media.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitle_sources import SubtitleSource
from dubarr_pipeline.media.subtitles import choose_script, existing_translation
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import check_writable, exclusive


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """Which sound is dubbed.

    Attributes:
        language: BCP-47 of what is spoken, where the file says nothing or something wrong.
        stream: ffmpeg's number of the audio stream; -1: chosen by rule.
    """

    language: str = ""
    stream: int = -1

    def __post_init__(self) -> None:
        if self.language:
            object.__setattr__(self, "language", standard_tag(self.language))
        if self.stream < -1:
            raise ValueError("stream must be a stream's number, or -1 to have it chosen")


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be worked on: the sound, the words, the language.

    Attributes:
        info: what the container holds.
        stream: the audio stream that is dubbed.
        script: the subtitles that hold the words, or None where an engine must hear them.
        language: BCP-47 of what is spoken, or None where an engine must tell.
    """

    info: MediaInfo
    stream: Stream
    script: SubtitleSource | None
    language: str | None


def look_at(source: Path, settings: Settings) -> Plan:
    """Find the sound and the words of a video.

    Raises:
        NotAVideo, NoAudio, NoScript, SourceMissing: if it cannot be dubbed.
    """
    heard = listen_to(source, settings)
    script = _script(heard.info, heard.language, settings)
    return replace(
        heard, script=script, language=heard.language or (script.language if script else None)
    )


def listen_to(source: Path, settings: Settings) -> Plan:
    """Find the sound of a video, and what is spoken where the container tells; not the words.

    Raises:
        NotAVideo, NoAudio, SourceMissing: if it cannot be dubbed.
    """
    wanted: AudioOptions = settings.options("audio")
    info = probe_video(source)
    language = wanted.language or None
    stream = choose_audio(info, language, wanted.stream if wanted.stream >= 0 else None)
    return Plan(info, stream, None, language or stream.language)


def take_in(path: Path, targets: tuple[str, ...], settings: Settings, **wishes: Any) -> Video:
    """Register a video for dubbing: check everything, then write its ``video.json``.

    Where another film lay under that path before (a release that was upgraded), the new one starts
    with that one's corrections and lines; those that still fit are not made again.

    Args:
        path: the video file.
        targets: BCP-47 tags of the tracks to make.
        settings: with the profile to use.
        wishes: ``overrides`` and ``library`` of the video, and its ``identity`` if it is known.

    Raises:
        SourceError: if the file cannot be dubbed.
        LanguageError: if a target is the source's own language, or no engine serves it.
        NotWritable: if the work folder cannot be used.
        DiskFull: if the disk has no room for all stages; the video is registered.
        VideoBusy: if another process works on it; what that was asked stands.
    """
    source = find_source(path)
    check_writable(settings.work_dir)
    plan = look_at(source, settings)
    check_targets(plan, targets, settings)
    check_muxable(source, settings)
    video = make_video(
        source, settings.work_dir, target_langs=targets, profile=settings.profile, **wishes
    )
    with exclusive(video.work(settings.work_dir)):
        before = last_at(source, settings.work_dir)
        if before and before.key != video.key:
            inherit_lines(before.work(settings.work_dir), video.work(settings.work_dir))
        save_video(video, settings.work_dir)
    check_video(source, len(targets), settings, video.work(settings.work_dir).root)
    return video


def check_muxable(source: Path, settings: Settings) -> None:
    """See that the finished file can keep all that the video holds.

    Raises:
        NotMuxable: naming the stream and the cure.
    """
    options: MuxOptions = settings.options("mux")
    if options.container == "mkv":
        plan_streams(read_facts(source), replace_own=options.replace_own)


def _script(info: MediaInfo, spoken: str | None, settings: Settings) -> SubtitleSource | None:
    """The subtitles that hold the words; none is fine where an engine hears them."""
    try:
        return choose_script(info, spoken)
    except NoScript:
        if settings.engines()["transcription"] == "subtitles":
            raise
        return None


def check_targets(plan: Plan, targets: tuple[str, ...], settings: Settings) -> None:
    """See that every target language can be made. Raises `LanguageError`."""
    translator = crew.translator(settings, subtitled(plan, targets))
    synthesizer = crew.synthesizer(settings)
    for target in targets:
        if plan.language and same_language(target, plan.language):
            raise LanguageError(
                f"{str(plan.info.path)!r} is spoken in {display_name(plan.language)} already: "
                f"take {target!r} out of the target languages"
            )
        if plan.language and not translator.serves(plan.language, target):
            others = ", ".join(translator.targets(plan.language)) or "none"
            raise LanguageError(
                f"{str(plan.info.path)!r}: "
                f"no translator from {display_name(plan.language)} to {display_name(target)} here: "
                f"put {plan.info.path.stem}.{target}.srt beside the video, or choose another "
                f"engine ({translator.name} serves: {others})"
            )
        if not synthesizer.serves(target):
            raise LanguageError(
                f"{str(plan.info.path)!r}: voice engine {synthesizer.name!r} does not speak "
                f"{display_name(target)}: take {target!r} out of the target languages, or choose "
                "another engine (`dubarr engines`)"
            )


def subtitled(plan: Plan, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The target languages that the video has full subtitles in."""
    return tuple(t for t in targets if existing_translation(plan.info, t))


def script_digest(plan: Plan) -> str | None:
    """Digest of the subtitles that the script is taken from; None where there are none."""
    return subtitle_digest(plan.script) if plan.script else None


def subtitle_digest(source: SubtitleSource) -> str:
    """Digest of a sidecar's content; an embedded stream is named: its video has a digest."""
    if source.index is not None:
        return f"stream {source.index}"
    return hashlib.sha256(source.path.read_bytes()).hexdigest()
