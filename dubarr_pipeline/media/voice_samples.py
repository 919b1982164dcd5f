"""Which few seconds of a film let a speaker be heard alone and cleanly: the voice references."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.media.sound_reader import Samples, SoundReader, at_rate, read_mono
from dubarr_pipeline.media.voice_edges import tighten
from dubarr_pipeline.timeline.script import Diarization, Transcript, Turn
from dubarr_pipeline.timeline.spans import Span, complement, merge, to_samples, to_seconds
from dubarr_pipeline.workdir import whole_file, write_json

_log = logging.getLogger(__name__)
REF_RATE = 24000
_FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class RefOptions:
    """What makes a good voice reference.

    Attributes:
        shortest_s, longest_s: length that cloning engines ask for.
        least_s: below this a sample is no use to any of them.
        apart_s: distance kept from other speakers' turns.
        bridged_pause_s: pauses up to this may lie within a sample.
        clean_snr_db: from here a sample counts as clean.
        least_snr_db: under this it is no sample of a voice any more.
        lowest_zcr, highest_zcr: share of sign changes between neighbouring samples at 24 kHz.
            Speech lies at 0.02-0.2; under it there is hum, over it hiss.
        most_heard: candidates that are measured per speaker, longest first.
    """

    shortest_s: float = 3.0
    longest_s: float = 5.0
    least_s: float = 1.0
    apart_s: float = 0.1
    bridged_pause_s: float = 0.4
    clean_snr_db: float = 10.0
    least_snr_db: float = 0.0
    lowest_zcr: float = 0.008
    highest_zcr: float = 0.25
    most_heard: int = 24


DEFAULT = RefOptions()


@dataclass(frozen=True, slots=True)
class RefCandidate:
    """A stretch in which one speaker may be heard alone.

    Attributes:
        span: on the clock of the vocals.
        length_s: of the span.
        snr_db: voice against the accompaniment and against its own pauses; None if not measured.
        zcr: zero-crossing rate at 24 kHz, 0 to 1; None if not measured.
        score: higher is better; 0 to 3.
        text: what is said in it, where the transcript tells.
        rejected: why it was not chosen; None for the chosen one.
    """

    span: Span
    length_s: float
    snr_db: float | None = None
    zcr: float | None = None
    score: float = 0.0
    text: str = ""
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class SpeakerRef:
    """The voice reference of a speaker, or why there is none.

    Attributes:
        chosen: the best candidate, or None.
        fallback: what is wrong with the chosen one, if it is not as it should be.
        failure: why nothing could be chosen; then `chosen` is None.
        candidates: all of them, in order of time.
    """

    speaker: str
    chosen: RefCandidate | None
    fallback: str | None
    failure: str | None
    candidates: tuple[RefCandidate, ...]


@dataclass(frozen=True, slots=True)
class _Ears:
    vocals: SoundReader
    accompaniment: SoundReader | None
    options: RefOptions


def choose_refs(
    vocals: SoundReader,
    accompaniment: SoundReader | None,
    diarization: Diarization,
    transcript: Transcript | None = None,
    options: RefOptions = DEFAULT,
) -> tuple[SpeakerRef, ...]:
    """Choose the voice reference of every speaker, and say of each candidate why it was not chosen.

    Args:
        vocals: the separated voices.
        accompaniment: all else, sample-aligned, or None where it was not separated.
        diarization: turns on the clock of `vocals`.
        transcript: where given, songs are left out and candidates carry their text.
        options: what makes a good reference.

    Returns:
        One entry per speaker of the diarization, in order of their ids; never fewer.
    """
    ears = _Ears(vocals, accompaniment, options)
    songs = [s.span for s in transcript.segments if s.kind == "song"] if transcript else []
    chosen: list[SpeakerRef] = []
    for speaker in diarization.speakers:
        spans = _alone(diarization.turns, speaker, songs, ears)
        candidates = _candidates(spans, ears)
        if transcript:
            candidates = [
                replace(c, text=_text_in(transcript, speaker, c.span)) for c in candidates
            ]
        chosen.append(_choose(speaker, candidates, options))
    found = sum(ref.chosen is not None for ref in chosen)
    _log.info("voice references for %d of %d speakers", found, len(chosen))
    return tuple(chosen)


def clean_lines(
    vocals: SoundReader,
    accompaniment: SoundReader | None,
    diarization: Diarization,
    transcript: Transcript,
    options: RefOptions = DEFAULT,
) -> dict[int, RefCandidate]:
    """Find the lines that are their own best voice reference, because they keep the emotion.

    Args:
        vocals: the separated voices.
        accompaniment: all else, sample-aligned, or None.
        diarization: turns on the clock of `vocals`.
        transcript: whose lines are looked at.
        options: what makes a good reference.

    Returns:
        Index of a line -> its sample: long and clean enough, nobody else in it.
    """
    ears, rate = _Ears(vocals, accompaniment, options), vocals.rate
    shortest, longest = (to_samples(s, rate) for s in (options.shortest_s, options.longest_s))
    found: dict[int, RefCandidate] = {}
    for line in transcript.lines:
        others = (turn.span for turn in diarization.turns if turn.speaker != line.speaker)
        if line.span.length < shortest or any(line.span.overlap(other) for other in others):
            continue
        span = Span(line.span.start, min(line.span.end, line.span.start + longest))
        sample = _measured(span, ears)
        if sample.rejected is None and (sample.snr_db or 0.0) >= options.clean_snr_db:
            found[line.index] = replace(sample, text=line.text)
    return found


def _alone(turns: Sequence[Turn], speaker: str, songs: Sequence[Span], ears: _Ears) -> list[Span]:
    """Where only this speaker is heard: their turns less all others', with a little distance."""
    rate = ears.vocals.rate
    apart = to_samples(ears.options.apart_s, rate)
    others = [turn.span.pad(apart, apart) for turn in turns if turn.speaker != speaker]
    own = merge(
        (turn.span for turn in turns if turn.speaker == speaker),
        to_samples(ears.options.bridged_pause_s, rate),
    )
    sound = Span(0, ears.vocals.samples)
    clipped = [part for span in own if (part := span.clip(sound))]
    taken = merge([*others, *songs])
    return [free for span in clipped for free in complement(_touching(taken, span), span)]


def _touching(merged: Sequence[Span], span: Span) -> list[Span]:
    return [other for other in merged if other.overlap(span)]


def _candidates(spans: Iterable[Span], ears: _Ears) -> list[RefCandidate]:
    rate, options = ears.vocals.rate, ears.options
    windows = [window for span in spans for window in _windows(span, rate, options)]
    heard = set(sorted(windows, key=lambda w: -w.length)[: options.most_heard])
    candidates: list[RefCandidate] = []
    for window in sorted(windows):
        if window.seconds(rate) < options.least_s:
            why = f"too short: {window.seconds(rate):.1f} s"
            candidates.append(RefCandidate(window, window.seconds(rate), rejected=why))
        elif window not in heard:
            why = f"not measured: {options.most_heard} longer ones are there"
            candidates.append(RefCandidate(window, window.seconds(rate), rejected=why))
        else:
            candidates.append(_measured(tighten(ears.vocals, window), ears))
    return candidates


def _windows(span: Span, rate: int, options: RefOptions) -> list[Span]:
    """Cut a long stretch into samples of the greatest useful length."""
    longest = to_samples(options.longest_s, rate)
    if span.length <= longest:
        return [span] if span.length else []
    count = -(-span.length // longest)
    step = (span.length - longest) / (count - 1)
    starts = [span.start + round(i * step) for i in range(count)]
    return [Span(start, start + longest) for start in starts]


def _measured(span: Span, ears: _Ears) -> RefCandidate:
    voice = at_rate(read_mono(ears.vocals, span), ears.vocals.rate, REF_RATE)
    length_s = span.seconds(ears.vocals.rate)
    snr_db = _snr_db(voice, _power_in(ears.accompaniment, span))
    zcr = zero_crossing_rate(voice)
    candidate = RefCandidate(span, length_s, round(snr_db, 2), round(zcr, 4))
    return replace(
        candidate,
        score=round(_score(candidate, ears.options), 4),
        rejected=_fault(candidate, voice, ears.options),
    )


def _power_in(accompaniment: SoundReader | None, span: Span) -> float:
    if accompaniment is None:
        return 0.0
    return float(np.square(read_mono(accompaniment, span), dtype=np.float64).mean())


def _snr_db(voice: Samples, beside: float) -> float:
    """Level of the voiced frames against what is beside them and under them, in dB, -60 to 60.

    The floor under the voice is its own quietest tenth of frames.
    """
    frame = round(_FRAME_S * REF_RATE)
    count = voice.size // frame
    if not count:
        return -60.0
    power = np.square(voice[: count * frame].reshape(count, frame), dtype=np.float64).mean(axis=1)
    loud = float(power[power >= np.quantile(power, 0.5)].mean())
    noise = beside + float(np.quantile(power, 0.1))
    return float(np.clip(10 * np.log10((loud + 1e-12) / (noise + 1e-12)), -60, 60))


def zero_crossing_rate(mono: Samples) -> float:
    """Return the share of neighbouring samples between which the sign changes, 0 to 1."""
    if mono.size < 2:
        return 0.0
    negative = np.signbit(mono)
    return float(np.count_nonzero(negative[1:] != negative[:-1])) / (mono.size - 1)


def _score(candidate: RefCandidate, options: RefOptions) -> float:
    """Cleanness up to 1 at 30 dB, length up to 1 at the wished-for, ZCR up to 0.5 in mid range."""
    cleanness = np.clip((candidate.snr_db or 0.0) / 30, 0, 1)
    length = min(1.0, candidate.length_s / options.shortest_s)
    middle = np.sqrt(options.lowest_zcr * options.highest_zcr)
    width = np.log(options.highest_zcr / middle)
    zcr = max(0.0, 1 - abs(np.log(max(candidate.zcr or 0.0, 1e-6) / middle)) / width)
    return float(cleanness + length + 0.5 * zcr)


def _fault(candidate: RefCandidate, voice: Samples, options: RefOptions) -> str | None:
    """What makes a candidate unusable, or None."""
    snr_db, zcr = candidate.snr_db or 0.0, candidate.zcr or 0.0
    if not voice.size or float(np.abs(voice).max()) < 1e-4:
        return "silent"
    if candidate.length_s < options.least_s:
        return f"too short: {candidate.length_s:.1f} s without its quiet ends"
    if snr_db < options.least_snr_db:
        return f"drowned: SNR {snr_db:.1f} dB"
    if zcr > options.highest_zcr:
        return f"hiss: zero-crossing rate {zcr:.2f}"
    if zcr < options.lowest_zcr:
        return f"hum: zero-crossing rate {zcr:.3f}"
    clipped = float((np.abs(voice) >= 0.999).mean())
    return f"clipped: {clipped:.1%} of samples" if clipped > 0.005 else None


def _choose(speaker: str, candidates: Sequence[RefCandidate], options: RefOptions) -> SpeakerRef:
    usable = [c for c in candidates if c.rejected is None]
    if not usable:
        return SpeakerRef(speaker, None, None, _why_none(candidates), tuple(candidates))
    best = max(usable, key=lambda c: _rank(c, options))
    told = tuple(c if c.rejected or c is best else _beaten(c, best) for c in candidates)
    return SpeakerRef(speaker, best, _shortcoming(best, options), None, told)


def _rank(candidate: RefCandidate, options: RefOptions) -> tuple[bool, bool, float, float]:
    """Long enough and clean first; then the long before the clean; then by score."""
    long_enough = candidate.length_s >= options.shortest_s
    clean = (candidate.snr_db or 0.0) >= options.clean_snr_db
    length_s = min(candidate.length_s, options.shortest_s)
    return long_enough and clean, clean, length_s, candidate.score


def _beaten(candidate: RefCandidate, best: RefCandidate) -> RefCandidate:
    if candidate.length_s < best.length_s - 0.05:
        why = f"shorter than the chosen one ({candidate.length_s:.1f} of {best.length_s:.1f} s)"
    elif (candidate.snr_db or 0.0) < (best.snr_db or 0.0):
        why = f"less clean than the chosen one (SNR {candidate.snr_db} against {best.snr_db} dB)"
    else:
        why = f"lower score than the chosen one ({candidate.score:.2f} against {best.score:.2f})"
    return replace(candidate, rejected=why)


def _shortcoming(best: RefCandidate, options: RefOptions) -> str | None:
    faults: list[str] = []
    if best.length_s < options.shortest_s:
        faults.append(f"only {best.length_s:.1f} s of clean speech")
    if (best.snr_db or 0.0) < options.clean_snr_db:
        faults.append(f"noisy: SNR {best.snr_db:.1f} dB")
    return "; ".join(faults) or None


def _why_none(candidates: Sequence[RefCandidate]) -> str:
    if not candidates:
        return "never heard alone: others speak, or sing, in all of their turns"
    longest = max(candidates, key=lambda c: c.length_s)
    return f"none of {len(candidates)} stretches is usable; the longest is {longest.rejected}"


def _text_in(transcript: Transcript, speaker: str, span: Span) -> str:
    lines = (s for s in transcript.lines if s.speaker == speaker and s.span.overlap(span))
    words = (word for line in lines for word in line.words)
    return " ".join(w.text for w in words if span.contains((w.span.start + w.span.end) // 2))


def write_ref(vocals: SoundReader, candidate: RefCandidate, path: Path) -> None:
    """Write a voice reference whole: mono, 24 kHz, 16-bit WAV, edges faded over 10 ms."""
    import soundfile

    sound = at_rate(read_mono(vocals, candidate.span), vocals.rate, REF_RATE).copy()
    fade = min(REF_RATE // 100, sound.size // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        sound[:fade] *= ramp
        sound[-fade:] *= ramp[::-1]
    peak = float(np.abs(sound).max(initial=0.0))
    wave = io.BytesIO()
    soundfile.write(wave, sound / max(1.0, peak / 0.99), REF_RATE, subtype="PCM_16", format="WAV")
    with whole_file(path) as temporary:
        # By Python's own hand: of a full disk soundfile says no more than "System error".
        temporary.write_bytes(wave.getbuffer())


def write_refs_report(path: Path, refs: Sequence[SpeakerRef], rate: int) -> None:
    """Write ``refs.json``: per speaker the chosen reference, all candidates, and the reasons."""
    speakers = {
        ref.speaker: {
            "chosen": _document(ref.chosen, rate) if ref.chosen else None,
            "fallback": ref.fallback,
            "failure": ref.failure,
            "candidates": [_document(candidate, rate) for candidate in ref.candidates],
        }
        for ref in refs
    }
    write_json(path, {"rate": rate, "speakers": speakers})


def _document(candidate: RefCandidate, rate: int) -> dict[str, float | str | None]:
    return {
        "start": to_seconds(candidate.span.start, rate),
        "end": to_seconds(candidate.span.end, rate),
        "snr_db": candidate.snr_db,
        "zcr": candidate.zcr,
        "score": candidate.score,
        "text": candidate.text,
        "rejected": candidate.rejected,
    }
