"""How well a whole made-up episode is dubbed: the real production, judged by what lies on the disk.

A synthetic 45-minute episode (800 lines, 6 speakers with paces of their own, short and long pauses,
tight cuts, some lines that overlap) goes into 3 languages through `production.produce`, with a
pretended LLM and TTS over real loopback HTTP. Spoken lengths vary by 8 %, a seeded share of drafts
does not fit in any version, and 2 % of the answers of each server are lies. Lengths are those of
the sounds that were written, not those that were planned. Each row is that of the worst language.

    python benchmarks/episode.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import soundfile
from figures import Row, show

from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.script.model import Context, Segment, SpeakerProfile, Transcript
from dubarr_pipeline.segments.results import FAILED, LineResult, SegmentsResult
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.segments.tasks import SegmentsRequest
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.syllables import SYLLABLES_PER_S, text_weight
from dubarr_pipeline.timing.isochrony import DubbedLine, Isochrony, measure, percentile
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer

RATE = 16_000
LANGUAGES = ("es", "ca", "fr")
SPEAKERS = 6
WORDS = (
    "the of and to you that it was for are with his they this have not what could never tomorrow "
    "morning captain river answer remember together window enough believe yesterday understand"
).split()
SERVERS = SimulatedOptions(
    llm_slots=4, tts_slots=8, noise=0.08, misfit=0.15, voice_spread=0.12, rate=RATE
)
LIES = 0.02
"""Share of the servers' answers that are wrong: another language, and babble."""
FITTING = (Fraction(90, 100), Fraction(105, 100))
HEARD = 10
"""Lines of a voice after which its lengths should be known."""


@dataclass(frozen=True, slots=True)
class Language:
    """One finished language: its lines, and what was measured on their sounds."""

    lines: tuple[LineResult, ...]
    sync: Isochrony
    cut: int
    wanted: int
    """Lines that the script has."""


def script(lines: int, seed: int = 45) -> Transcript:
    """Dialogue of 3.37 s a line: 800 lines are 45 minutes."""
    chance = random.Random(seed)
    raw: list[tuple[float, float, int]] = []
    clock_s, last = 0.5, -1
    for _ in range(lines):
        who = chance.randrange(SPEAKERS)
        length_s = min(8.0, max(0.5, chance.lognormvariate(0.75, 0.5)))
        if raw and who != last and chance.random() < 0.06:
            clock_s = max(raw[-1][0] + 0.3, clock_s - 0.4)
        raw.append((clock_s, clock_s + length_s, who))
        clock_s, last = max(raw[-1][1], clock_s) + _pause_s(chance), who
    scale = 3.375 * lines / clock_s
    segments = [
        Segment(
            index,
            Span(round(start * scale * RATE), round(end * scale * RATE)),
            f"SPEAKER_{who:02d}",
            said(f"line {index}", (end - start) * scale),
        )
        for index, (start, end, who) in enumerate(raw)
    ]
    return Transcript(RATE, round((clock_s * scale + 2) * RATE), "en", tuple(segments))


def said(seed: str, seconds: float) -> str:
    """An English sentence that takes about so long; always the same for a seed."""
    chance, words = random.Random(seed), list[str]()
    while not words or text_weight(" ".join(words)) < seconds * SYLLABLES_PER_S:
        words.append(chance.choice(WORDS))
    return " ".join(words).capitalize() + "."


def _pause_s(chance: random.Random) -> float:
    kind = chance.random()
    if kind < 0.25:
        return chance.uniform(0.0, 0.15)
    return chance.uniform(0.15, 1.0) if kind < 0.8 else chance.uniform(1.0, 4.0)


def measure_episode(lines: int) -> tuple[list[Row], float]:
    """Dub one episode; the rows, and the seconds that it took here."""
    made_up = script(lines)
    with SimulatedServer(SERVERS) as server, tempfile.TemporaryDirectory() as folder:
        server.misbehave("llm", "wrong_language", LIES)
        server.misbehave("tts", "babble", LIES)
        translator = OpenAITranslator(OpenAIOptions(url=server.url, concurrency=4))
        synthesizer = OpenAISynthesizer(OpenAISpeechOptions(url=server.url, concurrency=8))
        began = time.monotonic()
        with translator, synthesizer:
            made = run(
                SegmentsRequest(
                    transcript=made_up,
                    speakers={s.speaker: _speaker(s.speaker) for s in made_up.segments},
                    context=Context("", ""),
                    refs={},
                    targets=LANGUAGES,
                    work=WorkDir(Path(folder)),
                    translator=translator,
                    synthesizer=synthesizer,
                )
            )
        wall_s = time.monotonic() - began
        found = [_measured(made.languages[name], made_up) for name in LANGUAGES]
    return rows(found, made), wall_s


def _speaker(name: str) -> SpeakerProfile:
    """A speaker with a voice of their own in every language."""
    return SpeakerProfile(name, voices=dict.fromkeys(LANGUAGES, f"voice-{name[-2:]}"))


def _measured(lines: tuple[LineResult, ...], made_up: Transcript) -> Language:
    dubbed: list[DubbedLine] = []
    cut = 0
    for line in lines:
        if line.path is None or line.chosen is None:
            continue
        samples = soundfile.info(line.path).frames
        heard = Span(line.start, line.start + samples)
        dubbed.append(DubbedLine(line.speaker, line.source, heard, line.window, line.tempo))
        natural = round(line.takes[line.chosen].duration_s * RATE)
        cut += samples != line.length or abs(line.tempo * line.length - natural) > 1
    spoken = [segment.span for segment in made_up.lines]
    return Language(lines, measure(dubbed, RATE, spoken), cut, len(spoken))


def rows(found: Sequence[Language], made: SegmentsResult) -> list[Row]:
    """The figures of the worst language, and those of the whole production."""
    return [*_sync_rows(found), *_loss_rows(found, made), *_line_rows(found)]


def _sync_rows(found: Sequence[Language]) -> list[Row]:
    def worst(
        choose: Callable[[Sequence[float]], float], of: Callable[[Isochrony], float]
    ) -> float:
        return choose([of(language.sync) for language in found])

    floor = "sounds on the disk against the script, worst language"
    return [
        Row("overlap score", worst(min, lambda s: s.overlap_score), "", 0.75, 0.9, "higher", floor),
        Row("onset p95", worst(max, lambda s: s.onset_p95_ms), "ms", None, 40, "lower", floor),
        Row("onset p99", worst(max, lambda s: s.onset_p99_ms), "ms", None, 40, "lower", floor),
        Row(
            "source speech with a dub",
            100 * worst(min, lambda s: s.voiced_share),
            *("%", 85, 93, "higher", floor),
        ),
        Row(
            "same-speaker overlaps",
            worst(max, lambda s: s.same_speaker_overlaps),
            *("", 0, 0, "lower", floor),
        ),
        Row("outside their window", worst(max, lambda s: s.overruns), "", 0, 0, "lower", floor),
        Row(
            "tempo within ±5 %",
            100 * worst(min, lambda s: s.tempo_within_5),
            *("%", None, 80, "higher", floor),
        ),
        Row(
            "tempo within ±10 %",
            100 * worst(min, lambda s: s.tempo_within_10),
            *("%", None, 99, "higher", floor),
        ),
        Row(
            "tempo outside 0.85-1.20",
            worst(max, lambda s: s.tempo_outside),
            *("", 0, 0, "lower", floor),
        ),
    ]


def _loss_rows(found: Sequence[Language], made: SegmentsResult) -> list[Row]:
    lost = max(
        language.wanted - sum(line.placed or line.outcome.startswith(FAILED) for line in lines)
        for language in found
        for lines in (language.lines,)
    )
    failed = sum(made.stats.failures.values())
    names = ", ".join(f"{name} {count}" for name, count in made.stats.failures.items()) or "none"
    return [
        Row("truncated takes", max(e.cut for e in found), "", 0, 0, "lower", "length of the files"),
        Row("lines lost without a name", lost, "", 0, 0, "lower", "the script"),
        Row("lines failed by name", failed, "", None, 0, "lower", names),
    ]


def _line_rows(found: Sequence[Language]) -> list[Row]:
    fits = min(100 * fmean(_fits(line) for line in _spoken(each)) for each in found)
    errors = [100 * fmean(_errors(each)) for each in found if _errors(each)]
    takes = [[len(line.takes) for line in _spoken(each)] for each in found]
    floor = f"{SERVERS.misfit:.0%} of drafts planted too long, {LIES:.0%} of takes babble"
    return [
        Row("drafts that fit before synthesis", fits, "%", 80, 92, "higher", floor),
        Row(
            f"prediction error after {HEARD} lines",
            max(errors),
            *("%", 12, 8, "lower", f"takes with {SERVERS.noise:.0%} noise: 6.4 % at best"),
        ),
        Row("takes per line, mean", max(map(fmean, takes)), "", 1.5, 1.15, "lower", floor),
        Row(
            "takes per line, p95",
            max(percentile(counts, 95) for counts in takes),
            *("", None, 2, "lower", floor),
        ),
        Row("takes of a line, most", max(map(max, takes)), "", 3, None, "lower", floor),
    ]


def _spoken(language: Language) -> list[LineResult]:
    return [line for line in language.lines if line.takes]


def _fits(line: LineResult) -> bool:
    """Whether the first wording that was spoken was predicted to fill its budget."""
    low, high = (share * Fraction(str(line.budget_s)) for share in FITTING)
    return low <= Fraction(str(line.takes[0].predicted_s)) <= high


def _errors(language: Language) -> list[float]:
    """Relative errors of predicted lengths, once a voice has spoken enough lines."""
    return [
        abs(take.predicted_s / take.duration_s - 1)
        for line in _known(language.lines)
        for take in line.takes[:1]
        if not take.faults
    ]


def _known(lines: Sequence[LineResult]) -> Iterator[LineResult]:
    heard: dict[str, int] = {}
    for line in lines:
        heard[line.speaker] = heard.get(line.speaker, 0) + 1
        if heard[line.speaker] > HEARD:
            yield line


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="160 lines (9 minutes), not 800")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found, wall_s = measure_episode(160 if asked.quick else 800)
    machine = f"{platform.machine()}, {platform.python_version()}, made in {wall_s:.1f} s"
    show(found, as_json=asked.json, machine=machine)


if __name__ == "__main__":
    main()
