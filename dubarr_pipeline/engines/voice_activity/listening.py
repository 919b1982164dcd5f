"""Takes the sound out of a film and looks for speech in it, in the same pass."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.engines.interfaces import OnProgress, Progress, Samples, VoiceActivityDetector
from dubarr_pipeline.media.extract import SPEECH_RATE, ExtractedAudio, extract_audio
from dubarr_pipeline.media.streams import MediaInfo, Stream
from dubarr_pipeline.timeline.spans import Span, merge

_BLOCKS_IN_FLIGHT = 8
"""Blocks of four seconds that may wait for the detector: the decoder pauses, memory stays flat."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The sound that was written, and where somebody speaks in it, in its own samples."""

    audio: ExtractedAudio
    speech: tuple[Span, ...]


class _Stopped(Exception):
    """The detector has failed; the decoder need not go on."""


def extract_and_listen(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    detector: VoiceActivityDetector,
    on_progress: OnProgress,
) -> Heard:
    """Write a stream's sound to `destination` while the detector hears it.

    Args:
        info: the container.
        stream: the audio stream of it.
        destination: float32 WAV to write.
        detector: loaded.
        on_progress: told the seconds decoded.

    Raises:
        NoAudio, NotAVideo, MediaToolError, DiskFull: as `extract_audio`.
    """
    blocks: queue.Queue[Samples | None] = queue.Queue(_BLOCKS_IN_FLIGHT)
    stopped = threading.Event()
    found: list[Span] = []
    failed: list[BaseException] = []

    def listen() -> None:
        try:
            found.extend(detector.detect(_until_end(blocks)))
        # An error in a thread would be lost: it is raised where the decoding is waited for.
        except BaseException as error:
            failed.append(error)
            stopped.set()
            _drain(blocks)

    def hear(block: Samples) -> None:
        if stopped.is_set():
            raise _Stopped
        blocks.put(block)

    listener = threading.Thread(target=listen, name="voice-activity", daemon=True)
    listener.start()
    audio: ExtractedAudio | None = None
    try:
        audio = extract_audio(
            info, stream, destination, hear, lambda done, of: on_progress(Progress(done, of))
        )
    except _Stopped:
        pass
    finally:
        blocks.put(None)
        listener.join()
    if failed or audio is None:
        raise failed[0]
    return Heard(audio, _on_clock(found, audio))


def _until_end(blocks: queue.Queue[Samples | None]) -> Iterator[Samples]:
    while (block := blocks.get()) is not None:
        yield block


def _drain(blocks: queue.Queue[Samples | None]) -> None:
    """Read on until the decoder has seen that nobody listens, so that it never waits for room."""
    while blocks.get() is not None:
        pass


def _on_clock(found: list[Span], audio: ExtractedAudio) -> tuple[Span, ...]:
    """Spans of 16 kHz samples as spans of the sound's own, within it."""
    film = Span(0, audio.samples)
    scaled = (
        Span(span.start * audio.rate // SPEECH_RATE, span.end * audio.rate // SPEECH_RATE)
        for span in found
    )
    return tuple(merge(part for span in scaled if (part := span.clip(film))))
