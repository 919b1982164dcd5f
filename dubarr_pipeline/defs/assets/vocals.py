"""Stage 1: the soundtrack, separated into vocals and accompaniment."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from dubarr_pipeline.config.profile_engines import engine
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.engines.interfaces import Separator, VoiceActivityDetector
from dubarr_pipeline.engines.separation.stems import write_stems
from dubarr_pipeline.engines.voice_activity.extract_and_detect import Heard, extract_and_listen
from dubarr_pipeline.errors import NoAudio, NoScript
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.library.source import Source, inspect_source
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.container.streams import Stream, list_audio, other_audio
from dubarr_pipeline.media.subtitles.read import check_language, read_cues
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.cues.layout import SoundClock, missed_lines
from dubarr_pipeline.script.fit.fitting import Timeline
from dubarr_pipeline.script.fit.placing import place_script
from dubarr_pipeline.script.speakers.channels import language_per_channel
from dubarr_pipeline.spans import merge, total
from dubarr_pipeline.workdir.artifacts import SourceCues, SourceSound, write_cues, write_sound

_log = logging.getLogger(__name__)
_OF_SCRIPT, _OF_FILM = (0.3, 0.05), (0.1, 0.002)
"""Detected speech as a share of the script's time, or of a film's without one: from the first on a
stream is taken; under the second nobody speaks in it. Horns of a score reach 0.05 of the film."""
_CLEARLY = 1.5


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    fit, settings = context.settings.script.fit, context.settings
    return {
        **({} if fit == "check" else {"fit": fit}),
        "source": context.video.identity.digest,
        "script": context.source().script_digest(),
        "audio": settings.audio,
        "voice_activity": context.ask("voice_activity"),
        "separation": context.ask("separation"),
        "options": settings.engine_options["voice_activity"],
    }


def make(context: StageContext) -> Outcome:
    """Separate the soundtrack: `vocals.wav`, `accompaniment.wav`, and the spans of speech.

    Outside speech the accompaniment is the original sound, bit for bit.
    """
    from dubarr_pipeline.reports.pictures import waveform_picture

    work, video = context.work, context.video
    source = inspect_source(video.source, context.settings, video.target_langs, work.probed)
    with whole_file(work.accompaniment) as bed, whole_file(work.vocals) as voices:
        stream, heard, cues = _listen(context, source, bed)
        rate = heard.audio.rate
        cues = _placed(context, cues, Timeline(heard.speech, heard.audio.samples, rate))
        clock = SoundClock(rate, heard.audio.samples)
        missed = missed_lines(cues.cues, heard.speech, clock)
        separated = tuple(merge([*heard.speech, *missed]))
        with engine(context.settings, Separator) as separator:
            separator.keep_in(work.temporary / "separation")
            on_progress = _share(context, 0.4, 1.0, "separating")
            stems = write_stems(bed, voices, separator, separated, on_progress)
        with WaveFile(voices) as vocals:
            dual = language_per_channel(vocals, heard.speech)
    shutil.rmtree(work.temporary / "separation", ignore_errors=True)
    write_cues(work.cues, cues)
    write_sound(work.speech, SourceSound(stream.index, heard.audio, heard.speech, separated, dual))
    return Outcome(
        files=[work.vocals, work.accompaniment, work.speech, work.cues],
        metadata={
            "stream": stream.describe(),
            "duration_s": round(heard.audio.samples / rate, 3),
            "speech_s": round(total(heard.speech) / rate, 3),
            "lines_not_detected": len(missed),
            "script": cues.origin or "none",
            "script_fit": f"{cues.placement.verdict}: {cues.placement.words}",
            "layout": heard.audio.layout or f"{heard.audio.channels} channels",
            "loudness_lufs": heard.audio.loudness_lufs,
            "broken_off": "; ".join(heard.audio.notes) or "nowhere",
            "method": stems.method,
            "language_per_channel": dual,
            "picture": dg.MetadataValue.md(waveform_picture(work.vocals, heard.speech)),
            "folder": dg.MetadataValue.path(work.root),
        },
    )


def _listen(context: StageContext, source: Source, bed: Path) -> tuple[Stream, Heard, SourceCues]:
    """Write the sound of the chosen stream, or of another one if nearly nobody speaks in it."""
    asked_for = context.settings.audio.stream >= 0
    streams = (source.audio, *(() if asked_for else other_audio(source.info, source.audio)))
    shares: dict[int, float] = {}
    last = None
    for stream in streams:
        heard, cues = last = _hear(context, source, stream, bed)
        written = total(cue.span for cue in cues.cues)
        much, least = _OF_SCRIPT if written else _OF_FILM
        share = total(heard.speech) / (written or heard.audio.samples)
        if share >= much:
            return stream, heard, cues
        shares[stream.index] = share if share >= least else 0.0
        _log.warning("%s: %.1f %% speech in %s", source.path, 100 * share, stream.describe())
    # The chosen one gives way only to one that clearly says more.
    shares[source.audio.index] *= _CLEARLY
    best = max(streams, key=lambda stream: shares[stream.index])
    if shares[best.index]:
        # The sound of the last one is written already.
        return best, *(last if last and best is streams[-1] else _hear(context, source, best, bed))
    tried = "; ".join(stream.describe() for stream in streams)
    others = list_audio(source.info, *streams)
    cure = f"choose another by its number, with audio.stream: {others}" if others else ""
    raise NoAudio(
        f"{source.path}: nobody speaks in {tried}: {cure or 'there is no other sound to dub'}"
    )


def _hear(
    context: StageContext, source: Source, stream: Stream, bed: Path
) -> tuple[Heard, SourceCues]:
    """Write a stream's sound, find its speech, and read the script on its clock."""
    with engine(context.settings, VoiceActivityDetector) as detector:
        on_progress = _share(context, 0.0, 0.4, "listening")
        heard = extract_and_listen(source.info, stream, bed, detector, on_progress)
    rate, script = heard.audio.rate, source.script
    read = read_cues(script, source.info, rate, heard.audio.offset_s) if script else ()
    try:
        check_language(script, read, source.language) if script else None
    except NoScript as error:
        if context.settings.engines["transcription"] == "subtitles":
            raise
        _log.warning("%s", error)
        script, read = None, ()
    origin = script.describe() if script else None
    return heard, SourceCues(rate, origin, source.language or stream.language, read)


def _placed(context: StageContext, script: SourceCues, film: Timeline) -> SourceCues:
    """Put the script's cues where the film says them, or refuse those of another film."""
    if not script.cues or context.settings.script.fit == "off":
        return script
    cues, placement = place_script(script.cues, film)
    name = f"{context.video.source}: subtitle {script.origin}"
    if placement.verdict == "refused" and context.settings.engines["transcription"] == "subtitles":
        raise NoScript(
            f"{name} does not fit the speech of the film: {placement.words}. Put the right one "
            "beside the film, have the words recognised (profile laptop or studio), or use it as "
            'it is, with script.fit = "off"'
        )
    if placement.verdict != "fits":
        _log.warning("%s: %s (%s)", name, placement.verdict, placement.words)
    return replace(script, cues=cues, placement=placement)


def _share(context: StageContext, start: float, end: float, note: str):
    """Return a callback that reports a part of the stage as a share of the whole."""

    def report(progress: Progress) -> None:
        done = progress.done / progress.total if progress.total else 1.0
        context.on_progress(Progress(start + (end - start) * done, 1.0, note))

    return report
