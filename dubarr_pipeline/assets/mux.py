"""Stage 8: the new tracks in the container, every original stream bit for bit."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import read_sound
from dubarr_pipeline.assets import checks
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.media import mux as container
from dubarr_pipeline.media.mux_options import DubSubtitle, DubTrack, MuxOptions
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.workdir import write_json


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {
        "source": bench.video.identity.digest,
        "targets": bench.video.target_langs,
        "codec": bench.options("mix").codec,
        "options": as_facts(bench.options("mux")),
    }


def _produce(bench: Bench) -> Outcome:
    work, video, sound = bench.work, bench.video, read_sound(bench.work.speech)
    codec = bench.options("mix").codec
    offset_s = Fraction(str(sound.audio.offset_s))
    tracks = [
        DubTrack(work.track(language, codec), language, offset_s=offset_s)
        for language in video.target_langs
    ]
    # A language in which no line could be dubbed has no subtitles.
    subtitles = [
        DubSubtitle(path, language)
        for language in video.target_langs
        if (path := work.subtitles(video.source.stem, language)).is_file()
    ]
    parts = _parts(bench, tracks, subtitles)
    made = [
        container.mux(
            video.source,
            *part,
            path,
            _options(bench, sound.stream, is_first=not number),
            lambda done, of: bench.on_progress(Progress(done, of)),
        )
        for number, (path, part) in enumerate(parts.items())
    ]
    write_json(work.mux_report, as_facts(container.joined(made)))
    return Outcome(
        files=[*parts, work.mux_report],
        metadata={
            "file": dg.MetadataValue.path(next(iter(parts))),
            "megabytes": round(sum(path.stat().st_size for path in parts) / 1e6, 2),
            "languages": ",".join(video.target_langs),
            "streams": checks.stream_table(work.mux_report),
        },
    )


def _parts(
    bench: Bench, tracks: list[DubTrack], subtitles: list[DubSubtitle]
) -> dict[Path, tuple[list[DubTrack], list[DubSubtitle]]]:
    """What goes into which file: all into one film, or each language into a file beside it."""
    if bench.options("mux").container == "mkv":
        return {bench.work.muxed: (tracks, subtitles)}
    return {
        bench.work.subtitles(bench.video.source.stem, track.language).with_suffix(".mka"): (
            [track],
            [text for text in subtitles if text.language == track.language],
        )
        for track in tracks
    }


def _options(bench: Bench, dubbed_stream: int, *, is_first: bool) -> MuxOptions:
    """The settings, and the stream that was dubbed as the original, unless another is named."""
    options: MuxOptions = bench.options("mux")
    if not is_first:
        options = replace(options, default_policy="keep")
    if options.original_stream is None:
        return replace(options, original_stream=dubbed_stream)
    return options


STAGE = Stage("mux", ("vocals", "segments", "mix"), "1", _facts, _produce, checks.of_mux)


@stage_asset(STAGE, kinds={"ffmpeg", "mkvtoolnix"}, check_specs=checks.MUX_SPECS)
def mux(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Add the tracks: `final_muxed.mkv`, every original stream copied and proven by its hash."""
    return run_stage(STAGE, context, config, workshop)
