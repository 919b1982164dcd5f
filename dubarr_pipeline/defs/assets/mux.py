"""Stage 8: the new tracks in the container, every original stream bit for bit."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import dagster as dg

from dubarr_pipeline.defs.assets import checks
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext, as_document
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.publishing.naming import muxed_sidecar
from dubarr_pipeline.media.mux import mux as container
from dubarr_pipeline.media.mux.options import DubSubtitle, DubTrack
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.workdir.artifacts import read_sound


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    return {
        "source": context.video.identity.digest,
        "targets": context.video.target_langs,
        "codec": context.settings.mix.codec,
        "options": context.settings.mux,
    }


def make(context: StageContext) -> Outcome:
    """Add the tracks: `final_muxed.mkv`, every original stream copied and proven by its hash."""
    work, video, sound = context.work, context.video, read_sound(context.work.speech)
    targets = checks.dubbed_languages(context)
    codec, options = context.settings.mix.codec, context.settings.mux
    offset_s = Fraction(str(sound.audio.offset_s))
    tracks = [DubTrack(work.track(each, codec), each, offset_s=offset_s) for each in targets]
    # A language in which no line could be dubbed has no subtitles.
    written = {each: work.subtitles(video.source.stem, each) for each in targets}
    subtitles = [DubSubtitle(path, each) for each, path in written.items() if path.is_file()]
    # All in one film, or a file per language next to it.
    parts = {work.muxed: (tracks, subtitles)}
    if options.container != "mkv":
        parts = {
            muxed_sidecar(work, video.source, track.language): (
                [track],
                [text for text in subtitles if text.language == track.language],
            )
            for track in tracks
        }
    # The dubbed stream is the original, unless the settings name another; only it is replaced.
    if options.original_stream is None or options.original_audio == "replace":
        options = replace(options, original_stream=sound.stream)
    # A film never loses its sound to a language that failed.
    failed = [language for language in video.target_langs if language not in targets]
    if failed:
        options = replace(options, original_audio="keep")
    made = [
        container.mux(
            video.source,
            *part,
            path,
            replace(options, default_policy="keep") if number else options,
            lambda done, of: context.on_progress(Progress(done, of)),
        )
        for number, (path, part) in enumerate(parts.items())
    ]
    write_json(work.mux_report, as_document(container.joined(made)))
    return Outcome(
        files=[*parts, work.mux_report],
        metadata={
            "file": dg.MetadataValue.path(next(iter(parts))),
            "megabytes": round(sum(path.stat().st_size for path in parts) / 1e6, 2),
            "languages": ",".join(targets),
            "original_audio": options.original_audio
            + (f": {', '.join(failed)} failed" if failed else ""),
            "streams": checks.stream_table(work.mux_report),
        },
    )
