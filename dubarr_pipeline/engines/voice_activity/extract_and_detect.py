"""Takes the sound out of a film and looks for speech in it, in the same pass."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.engines.interfaces import Samples, VoiceActivityDetector
from dubarr_pipeline.media.audio.resample import SPEECH_RATE
from dubarr_pipeline.media.container.extract import ExtractedAudio, extract_audio
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.progress import OnProgress, Progress
from dubarr_pipeline.spans import Span, merge

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
    """Write a stream's sound to a float32 WAV while the loaded detector hears it.

    Progress is in seconds decoded.

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
            # The decoder must never wait for room in the queue after a failure here.
            while blocks.get() is not None:
                pass

    def hear(block: Samples) -> None:
        if stopped.is_set():
            raise _Stopped
        blocks.put(block)

    listener = threading.Thread(target=listen, name="voice-activity", daemon=True)
    listener.start()
    audio: ExtractedAudio | None = None
    try:
        with contextlib.suppress(_Stopped):
            audio = extract_audio(
                info, stream, destination, hear, lambda done, of: on_progress(Progress(done, of))
            )
    finally:
        blocks.put(None)
        listener.join()
    if failed or audio is None:
        raise failed[0]
    # From the detector's clock to the sound's own.
    film = Span(0, audio.samples)
    scaled = (
        Span(span.start * audio.rate // SPEECH_RATE, span.end * audio.rate // SPEECH_RATE)
        for span in found
    )
    return Heard(audio, tuple(merge(part for span in scaled if (part := span.clip(film)))))


def _until_end(blocks: queue.Queue[Samples | None]) -> Iterator[Samples]:
    while (block := blocks.get()) is not None:
        yield block
