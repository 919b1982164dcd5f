"""The film that is dubbed: its file, its streams, and the choice of audio and script."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.registry import row
from dubarr_pipeline.errors import NoScript, SpokenLanguage
from dubarr_pipeline.library.videos import find_source
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.container.streams import MediaInfo, Stream, choose_audio
from dubarr_pipeline.media.subtitles.read import choose_script, existing_translation
from dubarr_pipeline.media.subtitles.sources import SubtitleSource
from dubarr_pipeline.text.languages import display_name, same_language
from dubarr_pipeline.workdir.identity import FileIdentity


@dataclass(frozen=True, slots=True)
class Source:
    """A film to dub, with the audio and the script that were chosen.

    Attributes:
        script: the subtitles that hold the words; None where an engine must recognise them.
        language: BCP-47 of what is spoken, or None where an engine must identify it.
        identity: size, dates and digest of the file; None until its content was read.
    """

    info: MediaInfo
    audio: Stream
    script: SubtitleSource | None = None
    language: str | None = None
    identity: FileIdentity | None = None

    @property
    def path(self) -> Path:
        return self.info.path

    def script_digest(self) -> str | None:
        """Return the digest of the script, read now; None without a script."""
        return subtitle_digest(self.script) if self.script else None

    def translations(self, targets: tuple[str, ...]) -> Mapping[str, SubtitleSource]:
        """Return the full subtitles that the film has in these target languages, by language."""
        found = {target: existing_translation(self.info, target) for target in targets}
        return {target: subtitle for target, subtitle in found.items() if subtitle}


def inspect_source(
    path: Path, settings: Settings, targets: tuple[str, ...] = (), kept: Path | None = None
) -> Source:
    """Read a film's streams, and choose its audio and the script for dubs into the targets.

    ffprobe runs once per version of the file in a process, or never where `kept` holds its answer
    (`probe.keep_answer`); the subtitles beside the file are listed each time, so that later ones
    are seen.

    Raises:
        NotAVideo, NoAudio, NoScript, SourceMissing: if the film cannot be dubbed.
        SpokenLanguage: if a target is spoken in it, whatever subtitles may come.
    """
    source = inspect_audio(path, settings, kept=kept)
    check_not_spoken(source, targets)
    return with_script(source, settings, targets)


def check_not_spoken(source: Source, targets: Iterable[str]) -> None:
    """Check that no target is the language of the film, where that is known.

    Raises:
        SpokenLanguage: if one is.
    """
    for target in targets:
        if source.language and same_language(target, source.language):
            raise SpokenLanguage(
                f"{str(source.path)!r} is already spoken in {display_name(source.language)}: "
                f"remove {target!r} from the target languages, or name what is spoken with --from"
            )


def inspect_audio(
    path: Path,
    settings: Settings,
    identity: FileIdentity | None = None,
    kept: Path | None = None,
) -> Source:
    """Read a film's streams and choose its audio; the script is left to `with_script`.

    Raises:
        NotAVideo, NoAudio, SourceMissing: if the film cannot be dubbed.
    """
    options = settings.audio
    info = probe_video(find_source(path), kept=kept)
    language = options.language or None
    audio = choose_audio(info, language, options.stream if options.stream >= 0 else None)
    return Source(info, audio, language=language or audio.language, identity=identity)


def with_script(source: Source, settings: Settings, targets: tuple[str, ...] = ()) -> Source:
    """Choose the subtitles that hold the words of a film.

    Where nothing recognises the words and nothing translates but subtitles do, those in the only
    target language are spoken as they are, and are the script as well.

    Raises:
        NoScript: if there are none, and no engine recognises the words.
    """
    try:
        script = choose_script(source.info, source.language, targets)
    except NoScript:
        if settings.engines["transcription"] != "subtitles":
            return source
        script = source.translations(targets[:1]).get(targets[0]) if len(targets) == 1 else None
        translator = row("translation", settings.engines["translation"])
        if not (script and source.language and "subtitled" in translator.takes):
            raise
    return replace(source, script=script, language=source.language or script.language)


def subtitle_digest(subtitle: SubtitleSource) -> str:
    """Return the digest of a sidecar's content, or an embedded stream's number.

    The digest of the video already covers an embedded stream.
    """
    if subtitle.index is not None:
        return f"stream {subtitle.index}"
    return hashlib.sha256(subtitle.path.read_bytes()).hexdigest()
