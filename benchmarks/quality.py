"""How good a finished dub is: the quality block of the targets, measured again on the files.

python benchmarks/quality.py WORK/KEY...    finished work folders
python benchmarks/quality.py                makes and dubs the demo in a temporary folder
python benchmarks/quality.py --quick        the demo in one language

Beside the report's figures it decodes, compares and listens itself: loudness of the encoded track,
stream hashes of source and result, the stems and a fresh mix against the source sample by sample,
and the delay between the dubbed and the original track of the finished file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, show
from numpy.typing import NDArray

from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS, Loudness
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.reports.evidence import Evidence, gather
from dubarr_pipeline.reports.quality import Measure, film_measures, language_quality
from dubarr_pipeline.spans import Span, complement, merge
from dubarr_pipeline.timing.isochrony import percentile
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file

BLOCK_SAMPLES = 1 << 18
HEARD_S, FURTHEST_S = 60, 1.0
AUDIBLE_DB = 40
EDGE_S = 0.02
"""Room for the fades around a take and for what a filter rings before and after speech."""


def row_of(measure: Measure, video: str) -> Row:
    """A figure of the report as a row."""
    name = f"{video}: {measure.language or 'film'}: {measure.name}"
    bounds = (measure.must, measure.target, measure.better, measure.basis)
    return Row(name, round(measure.value, 4), measure.unit, *bounds)


def measure_video(folder: Path) -> Iterator[Row]:
    """All quality figures of one finished work folder."""
    video, work = load_video(folder.name, folder.parent), WorkDir(folder)
    found, name = gather(work), video.source.stem
    for language in video.target_langs:
        for row in language_quality(found, language).measures:
            yield row_of(row, name)
        for row in heard_again(video, work, found, language):
            yield row_of(row, name)
    for row in (*film_measures(found), *compared_again(video, work, found)):
        yield row_of(row, name)


def heard_again(video: Video, work: WorkDir, found: Evidence, language: str) -> Iterator[Measure]:
    """Decode the track and the finished file, and measure what is heard."""
    note, track = found.mixes[language], work.track(language, found.mixes[language].codec)
    loudness = measure_file(track)
    off = abs(loudness.integrated_lufs - note.target_lufs)
    basis = f"{track.name} decoded: {loudness.integrated_lufs:.2f} LUFS"
    yield Measure("encoded loudness off its target", off, "LU", 1.0, 0.2, "lower", basis, language)
    own = _result_index(found, track.name)
    original = next(
        s.result_index for s in found.mux.streams if s.source_index == found.sound.stream
    )
    delay_ms = delay_samples(work.muxed, original, own, found.sound.audio.rate)
    delay_ms *= 1000 / found.sound.audio.rate
    basis = f"cross-correlation with the original sound of the finished file, {HEARD_S} s"
    yield Measure("A/V offset of the dub", abs(delay_ms), "ms", 5, 1, "lower", basis, language)
    yield remixed(work, found, language, video)
    late = [1000 * lead_s(line.path) for line in found.lines(language) if line.path]
    basis = f"{len(late)} final sounds: time before {AUDIBLE_DB:.0f} dB under their peak"
    value = percentile(late, 95)
    yield Measure(
        "silence before a take's first sound, p95",
        value,
        "ms",
        None,
        None,
        "lower",
        basis,
        language,
    )


def lead_s(path: Path) -> float:
    """Seconds of a final sound before anything in it can be heard."""
    with WaveFile(path) as sound:
        level = np.abs(sound.read(0, sound.samples)).max(axis=0, initial=0.0)
        audible = np.flatnonzero(level > level.max(initial=0.0) * 10 ** (-AUDIBLE_DB / 20))
        return float(audible[0] if len(audible) else len(level)) / sound.rate


def _result_index(found: Evidence, file: str) -> int:
    """The place of a new track in the finished file, by the name of its own file."""
    return next(
        s.result_index for s in found.mux.streams if s.source_index is None and file in s.name
    )


def delay_samples(path: Path, original: int, dub: int, rate: int) -> int:
    """How many samples the dubbed track lies behind the original one, both as a player has them."""
    sounds = [_decoded(path, stream, rate) for stream in (original, dub)]
    size = 1 << int(np.ceil(np.log2(sum(map(len, sounds)) + 1)))
    spectra = [np.fft.rfft(sound, size) for sound in sounds]
    likeness = np.fft.irfft(np.conj(spectra[0]) * spectra[1], size)
    reach = round(FURTHEST_S * rate)
    nearby = np.concatenate([likeness[-reach:], likeness[: reach + 1]])
    return int(np.argmax(nearby)) - reach


def _decoded(path: Path, stream: int, rate: int) -> NDArray[np.float32]:
    """The first minute of a stream as mono, silence put in front where it starts late."""
    arguments = ["-copyts", "-start_at_zero", "-i", ffmpeg.file_url(path), "-map", f"0:{stream}"]
    clock = ["-af", "aresample=async=1:first_pts=0", "-t", str(HEARD_S), "-ac", "1"]
    raw = ["-ar", str(rate), "-f", "f32le", "pipe:1"]
    return np.frombuffer(ffmpeg.run([*arguments, *clock, *raw]).stdout, "<f4")


def compared_again(video: Video, work: WorkDir, found: Evidence) -> Iterator[Measure]:
    """Compare stems and streams with the source, bit by bit."""
    changed, known = changed_streams(video.source, work.muxed, found)
    basis = f"ffmpeg's streamhash of {known} streams, source against result"
    yield Measure("original streams with another hash", changed, "", 0, 0, basis=basis)
    with tempfile.TemporaryDirectory(dir=work.root, prefix=".quality.") as place:
        sound = _source_sound(video, found, Path(place))
        audio = found.sound.audio
        silent = complement(found.sound.separated, Span(0, audio.samples))
        differing = differing_samples(sound, work.accompaniment, silent)
        basis = f"accompaniment.wav against the source, {len(silent)} stretches"
        yield Measure("samples changed outside speech", differing, "", 0, 0, basis=basis)


def remixed(work: WorkDir, found: Evidence, language: str, video: Video) -> Measure:
    """Mix the track again with the mixer's samples kept: outside lines they are the source's."""
    audio, lines = found.sound.audio, found.lines(language)
    kept = tuple(line.source for line in lines if not line.placed)
    peak = max(-120.0, audio.true_peak_dbtp)
    loudness = Loudness(max(SILENCE_LUFS, audio.loudness_lufs), peak, audio.lra_lu)
    sources = MixSources(work.accompaniment, work.vocals, found.sound.separated, kept, loudness)
    takes = [
        PlacedTake(line.start, line.path, line.speaker, line.source) for line in lines if line.path
    ]
    edge = round(EDGE_S * audio.rate)
    busy = merge([*found.sound.separated, *(_heard(take).pad(edge, edge) for take in takes)])
    free = complement(busy, Span(0, audio.samples))
    with tempfile.TemporaryDirectory(dir=work.root, prefix=".quality.") as place:
        pcm = Path(place) / "mix.wav"
        mix(sources, takes, Path(place) / "track.ac3", MixOptions(pcm=pcm))
        differing = differing_samples(_source_sound(video, found, Path(place)), pcm, free)
    basis = f"a fresh mix's own samples against the source, {len(free)} stretches"
    return Measure(
        "mixed samples changed outside lines", differing, "", 0, 0, "lower", basis, language
    )


def _heard(take: PlacedTake) -> Span:
    with WaveFile(take.path) as sound:
        return Span(take.start, take.start + sound.samples)


def _source_sound(video: Video, found: Evidence, folder: Path) -> Path:
    """The source's own sound, decoded anew."""
    info, path = probe(video.source), folder / "source.wav"
    extract_audio(info, choose_audio(info, index=found.sound.stream), path)
    return path


def differing_samples(left: Path, right: Path, stretches: Sequence[Span]) -> int:
    """How many samples of two sounds differ in the stretches, each channel counted."""
    count = 0
    with WaveFile(left) as one, WaveFile(right) as other:
        for span in stretches:
            for start in range(span.start, span.end, BLOCK_SAMPLES):
                stop = min(span.end, start + BLOCK_SAMPLES)
                count += int(np.count_nonzero(one.read(start, stop) != other.read(start, stop)))
    return count


def changed_streams(source: Path, result: Path, found: Evidence) -> tuple[int, int]:
    """How many source streams have another hash in the result, and how many were compared."""
    pairs = [
        (s.source_index, s.result_index)
        for s in found.mux.streams
        if s.source_index is not None and s.proof == "packets"
    ]
    before = _hashes(source, [pair[0] for pair in pairs])
    after = _hashes(result, [pair[1] for pair in pairs])
    return sum(a != b for a, b in zip(before, after, strict=True)), len(pairs)


def _hashes(path: Path, streams: Sequence[int]) -> list[str]:
    maps = [part for stream in streams for part in ("-map", f"0:{stream}")]
    arguments = ["-i", ffmpeg.file_url(path), *maps, "-c", "copy", "-f", "streamhash", "pipe:1"]
    told = ffmpeg.run(arguments).stdout.decode().split()
    return [line.rpartition("=")[2] for line in told]


def dubbed_demo(folder: Path, targets: tuple[str, ...]) -> Path:
    """Make the demo video, dub it, and return its work folder."""
    import dubarr_pipeline as dubarr
    from dubarr_pipeline.demo.video import demo_video

    result = dubarr.dub(demo_video(folder / "demo"), targets, work_dir=folder, config="/dev/null")
    return result.report.parent


def _rows(folders: Sequence[Path], quick: bool) -> list[Row]:
    if folders:
        return [row for folder in folders for row in measure_video(folder.absolute())]
    with tempfile.TemporaryDirectory(prefix="dubarr-quality-") as place:
        return list(measure_video(dubbed_demo(Path(place), ("es",) if quick else ("es", "ca"))))


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="finished work folders")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="the demo in one language")
    options = parser.parse_args()
    rows = _rows(options.folders, options.quick)
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
