"""Voice references: the few seconds of a film in which a speaker is heard alone and cleanly."""

import io
import logging
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.files import whole_file, write_json
from dubarr_pipeline.media.audio.reader import Samples, SoundReader, read_mono
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.lines import SpeakerLookup
from dubarr_pipeline.script.model import Diarization, Transcript, Word
from dubarr_pipeline.script.speakers.edges import tighten
from dubarr_pipeline.spans import Span, complement, merge, to_samples, to_seconds

_log = logging.getLogger(__name__)
REF_RATE = 24000
_FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class RefOptions:
    """Limits of a good voice reference.

    Attributes:
        shortest_s: shortest sample that cloning engines ask for, in seconds.
        longest_s: longest sample that cloning engines ask for, in seconds.
        least_s: shortest sample that is of any use, in seconds; shorter ones are never taken.
        apart_s: distance kept from other speakers' turns, in seconds.
        bridged_pause_s: longest pause that may lie within a sample, in seconds.
        clean_snr_db: signal-to-noise ratio from which a sample counts as clean, in dB.
        least_snr_db: lowest signal-to-noise ratio of a sample, in dB.
        lowest_zcr: lowest share (0-1) of sign changes between neighbouring samples at 24 kHz; under
            it there is hum. Speech lies at 0.02-0.2.
        highest_zcr: highest share (0-1) of sign changes between neighbouring samples at 24 kHz;
            over it there is hiss. Speech lies at 0.02-0.2.
        most_heard: candidates that are measured per speaker at most, longest first.
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
        snr_db: voice against the accompaniment and against its own pauses; None if not measured.
        zcr: zero-crossing rate at 24 kHz, 0 to 1; None if not measured.
        score: higher is better; 0 to 3.
        text: the words in it, if the transcript has them.
        rejected: reason why it was not chosen; None for the chosen one.
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
    """The voice reference of a speaker, or the reason why there is none.

    Attributes:
        fallback: shortcoming of the chosen one, or None.
        failure: reason why none could be chosen; then `chosen` is None.
    """

    speaker: str
    chosen: RefCandidate | None
    fallback: str | None
    failure: str | None
    candidates: tuple[RefCandidate, ...]


@dataclass(frozen=True, slots=True)
class _Sources:
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
    """Choose the voice reference of every speaker, with a reason for each rejected candidate.

    `accompaniment` is sample-aligned, or None where it was not separated. With a transcript, songs
    are left out and candidates carry their text. There is one entry per speaker of the diarization,
    in order of their ids.
    """
    sources = _Sources(vocals, accompaniment, options)
    lines = transcript.segments if transcript else ()
    songs = SpeechMap([s.span for s in lines if s.kind == "song"])
    said: dict[str, list[Word]] = {}
    for line in lines:
        said.setdefault(line.speaker, []).extend(line.words if line.kind == "speech" else ())
    lookup, turns = SpeakerLookup(diarization), diarization.spans()
    chosen: list[SpeakerRef] = []
    for speaker in diarization.speakers:
        spans = _alone(speaker, turns[speaker], lookup, songs, sources)
        candidates = _with_words(_candidates(spans, sources), said.get(speaker, ()))
        chosen.append(_choose(speaker, candidates, options))
    count = sum(ref.chosen is not None for ref in chosen)
    _log.info("voice references for %d of %d speakers", count, len(chosen))
    return tuple(chosen)


def clean_lines(
    vocals: SoundReader,
    accompaniment: SoundReader | None,
    diarization: Diarization,
    transcript: Transcript,
    options: RefOptions = DEFAULT,
) -> dict[int, RefCandidate]:
    """Find the lines that are their own best voice reference, because they keep the emotion.

    Arguments as of `choose_refs`. Returns index of a line -> its sample: long and clean enough,
    without another voice.
    """
    sources, rate = _Sources(vocals, accompaniment, options), vocals.rate
    shortest, longest = (to_samples(s, rate) for s in (options.shortest_s, options.longest_s))
    lookup = SpeakerLookup(diarization)
    samples: dict[int, RefCandidate] = {}
    for line in transcript.lines:
        others = lookup.others(line.speaker, line.span)
        if line.span.length < shortest or any(map(line.span.overlap, others)):
            continue
        span = Span(line.span.start, min(line.span.end, line.span.start + longest))
        sample = _measured(span, sources)
        if sample.rejected is None and (sample.snr_db or 0.0) >= options.clean_snr_db:
            samples[line.index] = replace(sample, text=line.text)
    return samples


def _alone(
    speaker: str, turns: Sequence[Span], lookup: SpeakerLookup, songs: SpeechMap, sources: _Sources
) -> list[Span]:
    """Return the speaker's turns less all others', with a little distance."""
    rate = sources.vocals.rate
    apart = to_samples(sources.options.apart_s, rate)
    sound, free = Span(0, sources.vocals.samples), list[Span]()
    for whole in merge(turns, to_samples(sources.options.bridged_pause_s, rate)):
        if span := whole.clip(sound):
            others = lookup.others(speaker, span.pad(apart, apart))
            taken = [other.pad(apart, apart) for other in others]
            free += complement([*taken, *songs.within(span)], span)
    return free


def _with_words(candidates: Sequence[RefCandidate], words: Sequence[Word]) -> list[RefCandidate]:
    """Return the candidates with those of a speaker's words whose middle lies in them."""
    middles = [(word.span.start + word.span.end) // 2 for word in words]
    order = sorted(range(len(words)), key=middles.__getitem__)
    moments = [middles[number] for number in order]
    found: list[RefCandidate] = []
    for each in candidates:
        inside = order[bisect_left(moments, each.span.start) : bisect_left(moments, each.span.end)]
        found.append(replace(each, text=" ".join(words[number].text for number in sorted(inside))))
    return found


def _candidates(spans: Iterable[Span], sources: _Sources) -> list[RefCandidate]:
    rate, options = sources.vocals.rate, sources.options
    longest = to_samples(options.longest_s, rate)
    windows: list[Span] = []
    for span in spans:
        # A long stretch is cut into samples of the greatest useful length.
        count = max(1, -(-span.length // longest))
        length = min(span.length, longest)
        step = (span.length - length) / max(1, count - 1)
        starts = [span.start + round(i * step) for i in range(count)] if length else []
        windows += [Span(start, start + length) for start in starts]
    # Measuring reads the sound: of a lead role there are hundreds of stretches.
    heard = set(sorted(windows, key=lambda w: -w.length)[: options.most_heard])
    candidates: list[RefCandidate] = []
    for window in sorted(windows):
        length_s = window.seconds(rate)
        if length_s >= options.least_s and window in heard:
            candidates.append(_measured(tighten(sources.vocals, window), sources))
            continue
        why = f"not measured: {options.most_heard} longer ones are there"
        why = why if length_s >= options.least_s else f"too short: {length_s:.1f} s"
        candidates.append(RefCandidate(window, length_s, rejected=why))
    return candidates


def _measured(span: Span, sources: _Sources) -> RefCandidate:
    voice = resample(read_mono(sources.vocals, span), sources.vocals.rate, REF_RATE)
    length_s = span.seconds(sources.vocals.rate)
    bed_power = 0.0
    if sources.accompaniment is not None:
        bed = read_mono(sources.accompaniment, span)
        bed_power = float(np.square(bed, dtype=np.float64).mean())
    snr_db, frame = -60.0, round(_FRAME_S * REF_RATE)
    if count := voice.size // frame:
        # Voiced frames over the accompaniment and their own quietest tenth.
        frames = np.square(voice[: count * frame].reshape(count, frame), dtype=np.float64)
        power = frames.mean(axis=1)
        loud = float(power[power >= np.quantile(power, 0.5)].mean())
        noise = bed_power + float(np.quantile(power, 0.1))
        snr_db = float(np.clip(10 * np.log10((loud + 1e-12) / (noise + 1e-12)), -60, 60))
    options, snr_db, zcr = sources.options, round(snr_db, 2), round(zero_crossing_rate(voice), 4)
    candidate = RefCandidate(span, length_s, snr_db, zcr)
    # Cleanness counts to 1 at 30 dB, length to 1 at `shortest_s`, ZCR to 0.5 in mid range.
    middle = np.sqrt(options.lowest_zcr * options.highest_zcr)
    width = np.log(options.highest_zcr / middle)
    off = abs(np.log(max(zcr, 1e-6) / middle)) / width
    length = min(1.0, length_s / options.shortest_s)
    score = float(np.clip(snr_db / 30, 0, 1) + length + 0.5 * max(0.0, 1 - off))
    rejected = _fault(candidate, voice, options)
    return replace(candidate, score=round(score, 4), rejected=rejected)


def zero_crossing_rate(mono: Samples) -> float:
    """Return the share of neighbouring samples between which the sign changes, 0 to 1."""
    if mono.size < 2:
        return 0.0
    negative = np.signbit(mono)
    return float(np.count_nonzero(negative[1:] != negative[:-1])) / (mono.size - 1)


def _fault(candidate: RefCandidate, voice: Samples, options: RefOptions) -> str | None:
    """Return the reason why a candidate is unusable, or None."""
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
        why = "never heard alone: others speak, or sing, in all of their turns"
        if candidates:
            worst = max(candidates, key=lambda c: c.length_s).rejected
            why = f"none of {len(candidates)} stretches is usable; the longest is {worst}"
        return SpeakerRef(speaker, None, None, why, tuple(candidates))

    def rank(candidate: RefCandidate) -> tuple[bool, bool, float, float]:
        # Long enough and clean first; then the clean; then the longer; then by score.
        long_enough = candidate.length_s >= options.shortest_s
        clean = (candidate.snr_db or 0.0) >= options.clean_snr_db
        length_s = min(candidate.length_s, options.shortest_s)
        return long_enough and clean, clean, length_s, candidate.score

    best = max(usable, key=rank)
    shortcomings: list[str] = []
    if best.length_s < options.shortest_s:
        shortcomings.append(f"only {best.length_s:.1f} s of clean speech")
    if (best.snr_db or 0.0) < options.clean_snr_db:
        shortcomings.append(f"noisy: SNR {best.snr_db:.1f} dB")
    judged = tuple(c if c.rejected or c is best else _beaten(c, best) for c in candidates)
    return SpeakerRef(speaker, best, "; ".join(shortcomings) or None, None, judged)


def _beaten(candidate: RefCandidate, best: RefCandidate) -> RefCandidate:
    if candidate.length_s < best.length_s - 0.05:
        why = f"shorter than the chosen one ({candidate.length_s:.1f} of {best.length_s:.1f} s)"
    elif (candidate.snr_db or 0.0) < (best.snr_db or 0.0):
        why = f"less clean than the chosen one (SNR {candidate.snr_db} against {best.snr_db} dB)"
    else:
        why = f"lower score than the chosen one ({candidate.score:.2f} against {best.score:.2f})"
    return replace(candidate, rejected=why)


def write_ref(vocals: SoundReader, candidate: RefCandidate, path: Path) -> None:
    """Write a voice reference whole: mono, 24 kHz, 16-bit WAV, edges faded over 10 ms."""
    import soundfile

    sound = resample(read_mono(vocals, candidate.span), vocals.rate, REF_RATE).copy()
    # A cloning engine would copy a click.
    fade = min(REF_RATE // 100, sound.size // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        sound[:fade] *= ramp
        sound[-fade:] *= ramp[::-1]
    peak = float(np.abs(sound).max(initial=0.0))
    wave = io.BytesIO()
    soundfile.write(wave, sound / max(1.0, peak / 0.99), REF_RATE, subtype="PCM_16", format="WAV")
    with whole_file(path) as temporary:
        # Not by soundfile: of a full disk it says no more than "System error".
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
    span, figures = candidate.span, ("snr_db", "zcr", "score", "text", "rejected")
    times = {"start": to_seconds(span.start, rate), "end": to_seconds(span.end, rate)}
    return {**times, **{name: getattr(candidate, name) for name in figures}}
