"""True edges of the voice in a stretch of speech: detectors leave room around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples, SoundReader, read_mono
from dubarr_pipeline.spans import Span, complement, to_samples


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """Bounds on the search for edges.

    Attributes:
        most_s: furthest that each edge moves inwards, in seconds: a speech detector's padding (0.15
            s) and a breath.
        below_db: furthest under the line's loud frames that still counts as voice, in dB; soft
            consonants reach -25 dB.
        quiet_db: how far under the loud frames the rest up to the subtitle's edge must lie, in dB,
            to be residue of the bed.
        lead_s: padding before the first and after the last voiced frame, in seconds.
        longest_read_s: longest line that is analysed whole, in seconds; of longer ones both ends
            are.
    """

    most_s: float = 0.35
    below_db: float = 26.0
    quiet_db: float = 12.0
    lead_s: float = 0.02
    longest_read_s: float = 4.0


DEFAULT = EdgeOptions()
_FRAME_S = 0.01


def tighten(vocals: SoundReader, span: Span, options: EdgeOptions = DEFAULT) -> Span:
    """Return the span without the quiet at its ends; never grown or empty; silence is kept."""
    levels, frame = _levels(vocals, span, options)
    # Too short to tell voice from quiet.
    if levels.size < 4:
        return span
    loud = float(np.quantile(levels, 0.9))
    voiced = np.flatnonzero(levels > max(loud * 10 ** (-options.below_db / 10), 1e-9))
    if not voiced.size:
        return span
    most = to_samples(options.most_s, vocals.rate)
    lead = to_samples(options.lead_s, vocals.rate)
    before = min(max(0, int(voiced[0]) * frame - lead), most)
    quiet_after = (levels.size - 1 - int(voiced[-1])) * frame
    after = min(max(0, quiet_after - lead), most)
    return Span(span.start + before, span.end - after)


def settle(vocals: SoundReader, span: Span, written: Span, options: EdgeOptions = DEFAULT) -> Span:
    """Return the span with the subtitle's edges where it is quiet beyond them.

    An edge moves inwards only, at most `most_s`, and only if nothing but residue of the bed is
    given up: then the subtitler heard better than the detector.

    `written` has the subtitle edges nearest to those of the span, which `tighten` returned.
    """
    levels, _ = _levels(vocals, span, options)
    most = to_samples(options.most_s, vocals.rate)
    if levels.size < 4:
        return span
    quiet = float(np.quantile(levels, 0.9)) * 10 ** (-options.quiet_db / 10)
    start, end = span.start, span.end
    if 0 < written.start - start <= most and _power(vocals, Span(start, written.start)) < quiet:
        start = written.start
    if 0 < end - written.end <= most and _power(vocals, Span(written.end, end)) < quiet:
        end = written.end
    return Span(start, end) if end > start else span


_PAUSE_S = (0.15, 0.65)
"""Shortest pause that is seen, and longest: detectors end a stretch there, so that longer quiet
within one is a faint voice."""
_PAUSE_DB = 22.0
"""How far a pause lies under the loud frames: what separation leaves of music at +5 dB lies mostly
at -25 to -42 dB there, with single frames up to -5 dB."""
_SOFT_START = 2 / 3
"""Share of the padding that is quiet at a start: detectors answer late to soft consonants, so that
stretches begin 0.11 s early and end 0.15 s late with a padding of 0.15 s (measured)."""
_BLOCK_S = 20.0


def voiced_pieces(
    vocals: SoundReader, speech: Sequence[Span], padding_s: float
) -> tuple[Span, ...]:
    """Return stretches of speech without the detector's padding, divided at short pauses.

    Args:
        vocals: the voices, separated; music in the pauses would hide them.
        speech: detected stretches, in order.
        padding_s: room that the detector left on both sides of each.
    """
    rate, pieces = vocals.rate, list[Span]()
    before, after = to_samples(padding_s * _SOFT_START, rate), to_samples(padding_s, rate)
    for span in speech:
        # A stretch may be shorter than its padding at the ends of the film.
        inner = span
        if span.length > before + after:
            inner = Span(span.start + before, span.end - after)
        pieces += complement(_pauses(vocals, inner), inner)
    return tuple(pieces)


def _pauses(vocals: SoundReader, span: Span) -> list[Span]:
    rate, found = vocals.rate, list[Span]()
    frame, block = max(1, to_samples(_FRAME_S, rate)), to_samples(_BLOCK_S, rate)
    shortest, longest = (to_samples(s, rate) for s in _PAUSE_S)
    for start in range(span.start, span.end, block):
        sound = read_mono(vocals, Span(start, min(span.end, start + block)))
        count = sound.size // frame
        if not count:
            continue
        levels = np.square(sound[: count * frame].reshape(count, frame)).mean(axis=1)
        loud = float(np.quantile(levels, 0.9))
        quiet = np.flatnonzero(levels < loud * 10 ** (-_PAUSE_DB / 10))
        for run in np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1):
            if run.size and shortest <= run.size * frame <= longest:
                pause = Span(start + int(run[0]) * frame, start + int(run[-1] + 1) * frame)
                # Quiet at the very edge is no pause but a soft sound.
                if pause.start > span.start and pause.end < span.end:
                    found.append(pause)
    return found


def _power(vocals: SoundReader, span: Span) -> float:
    return float(np.square(read_mono(vocals, span)).mean())


def _levels(vocals: SoundReader, span: Span, options: EdgeOptions) -> tuple[Samples, int]:
    """Return the power of each frame (of long spans only of both ends), and a frame's samples."""
    frame = max(1, to_samples(_FRAME_S, vocals.rate))
    half = to_samples(options.longest_read_s / 2, vocals.rate) // frame * frame
    if span.length <= 2 * half:
        sound = read_mono(vocals, span)
    else:
        ends = (Span(span.start, span.start + half), Span(span.end - half, span.end))
        sound = np.concatenate([read_mono(vocals, end) for end in ends])
    count = sound.size // frame
    # The last frame ends where the span ends, so that the end is measured exactly.
    head = sound[: count * frame].reshape(count, frame)
    return np.square(head).mean(axis=1), frame
