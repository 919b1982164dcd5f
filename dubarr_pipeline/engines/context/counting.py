"""Counting heuristics on a script: tone, names and terms, pairs of speakers who talk.

The words that are counted are in `counting.toml`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from dubarr_pipeline.script.model import Segment, Term, Transcript
from dubarr_pipeline.text.sentences import ends_sentence
from dubarr_pipeline.text.syllables import word_weight
from dubarr_pipeline.text.tables import read_table

_EDGES = "\"'“”‘’«»¿¡()[]{}.,;:!?…-–—*_"
Register = Literal["formal", "informal", "mixed"]


@dataclass(frozen=True, slots=True)
class SpeakerTally:
    """Lines, words and seconds of speech of one speaker."""

    speaker: str
    lines: int
    words: int
    seconds: float

    @property
    def words_per_s(self) -> float:
        """Pace in words a second; 0 without timed speech."""
        return self.words / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ToneCount:
    """Tone of a script, mostly as shares of its lines.

    Attributes:
        questions, exclamations: shares of lines that hold one, 0 to 1.
        words_per_s: pace over all lines.
        words_per_line: mean.
        formal, informal: addresses and words of either kind.
    """

    questions: float
    exclamations: float
    words_per_s: float
    words_per_line: float
    formal: int
    informal: int

    @property
    def register(self) -> Register:
        """Formal or informal where one is at least twice the other, else mixed."""
        if self.formal >= 2 and self.formal >= 2 * self.informal:
            return "formal"
        if self.informal >= 2 and self.informal >= 2 * self.formal:
            return "informal"
        return "mixed"


def _table(name: str) -> Any:
    return read_table("dubarr_pipeline.engines.context", "counting")[name]


@cache
def _common_words() -> frozenset[str]:
    return frozenset(_table("common").split())


def _count(register: Register, text: str) -> int:
    return len(re.findall(rf"\b(?:{'|'.join(_table(register))})\b", text, re.I))


def count_speakers(transcript: Transcript) -> dict[str, SpeakerTally]:
    """Count the lines of every speaker, the most talkative first."""
    lines, words = Counter[str](), Counter[str]()
    seconds: defaultdict[str, float] = defaultdict(float)
    for line in transcript.lines:
        lines[line.speaker] += 1
        words[line.speaker] += len(line.text.split())
        seconds[line.speaker] += line.span.length / transcript.rate
    ranked = sorted(lines, key=lambda s: (-words[s], s))
    return {s: SpeakerTally(s, lines[s], words[s], seconds[s]) for s in ranked}


def count_tone(transcript: Transcript) -> ToneCount:
    """Count the signs of a script's tone."""
    lines = transcript.lines
    number = max(1, len(lines))
    words = sum(len(line.text.split()) for line in lines)
    seconds = sum(line.span.length for line in lines) / transcript.rate
    text = "\n".join(line.text for line in lines)
    return ToneCount(
        sum("?" in line.text for line in lines) / number,
        sum("!" in line.text for line in lines) / number,
        words / seconds if seconds else 0.0,
        words / number,
        _count("formal", text),
        _count("informal", text),
    )


def describe_tone(tone: ToneCount) -> str:
    """Describe the tone in a few words, followed by the counts.

    Thresholds: everyday English runs at 2.5-3.5 words a second (Tauroza & Allison 1990).
    """
    manner = [
        "lively" if tone.exclamations >= 0.25 else "calm" if tone.exclamations <= 0.08 else "even",
        "fast" if tone.words_per_s >= 3.6 else "slow" if tone.words_per_s < 2.0 else "steady",
        "terse" if tone.words_per_line < 4 else "wordy" if tone.words_per_line > 12 else "plain",
    ]
    if tone.questions >= 0.35:
        manner.append("questioning")
    if tone.register != "mixed":
        manner.append(tone.register)
    return (
        f"{', '.join(manner)} (counted: {tone.questions:.0%} of lines ask, {tone.exclamations:.0%} "
        f"exclaim, {tone.words_per_s:.1f} words a second)"
    )


def find_terms(transcript: Transcript, most: int = 200) -> tuple[Term, ...]:
    """Find names and terms that must stay the same throughout: capitalised within a sentence.

    Names of several words ("Jordi Mas") are kept together. Ordered by frequency, then by the
    alphabet.
    """
    counts: Counter[str] = Counter()
    for line in transcript.lines:
        counts.update(_capitalised(line.text))
    lower = Counter(word.strip(_EDGES) for line in transcript.lines for word in line.text.split())
    proper = {t: n for t, n in counts.items() if " " in t or n >= lower[t.casefold()]}
    ranked = sorted(proper, key=lambda t: (-proper[t], t))[:most]
    return tuple(Term(term, "name") for term in ranked)


def _capitalised(text: str) -> list[str]:
    if text.isupper():
        return []
    terms: list[str] = []
    run: list[str] = []
    words, common = text.split(), _common_words()
    for i, word in enumerate(words):
        bare = _bare(word)
        first = i == 0 or ends_sentence(words[i - 1])
        proper = bare[:1].isupper() and bare.casefold() not in common and not bare.isdigit()
        if proper and (run or not first):
            run.append(bare)
        if run and (not proper or word.rstrip("\"'”’") != word.rstrip(_EDGES)):
            terms.append(" ".join(run))
            run = []
    return [*terms, " ".join(run)] if run else terms


def _bare(word: str) -> str:
    return re.sub(r"['’]s$", "", word.strip(_EDGES))


def find_repeated(transcript: Transcript, least: int = 4, most: int = 20) -> tuple[Term, ...]:
    """Find long words that recur and should always be translated alike."""
    counts = Counter(
        bare.casefold()
        for line in transcript.lines
        for word in line.text.split()
        if (bare := _bare(word)).islower() and word_weight(bare) >= 2 and len(bare) >= 7
    )
    ranked = sorted((w for w in counts if counts[w] >= least), key=lambda w: (-counts[w], w))
    return tuple(Term(word, "repeated term") for word in ranked[:most])


def find_exchanges(transcript: Transcript, longest_gap_s: float = 4.0) -> Counter[tuple[str, str]]:
    """Count how often two speakers answer each other with little silence between."""
    exchanges: Counter[tuple[str, str]] = Counter()
    lines = transcript.lines
    gap = longest_gap_s * transcript.rate
    for before, after in pairwise(lines):
        if before.speaker != after.speaker and before.span.gap(after.span) <= gap:
            first, second = sorted((before.speaker, after.speaker))
            exchanges[first, second] += 1
    return exchanges


def names_called(lines: Sequence[Segment], names: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Count who says whose name (`names` by speaker): ``(speaker, speaker that is named)``."""
    calls: Counter[tuple[str, str]] = Counter()
    patterns = {s: re.compile(rf"\b{re.escape(n)}\b", re.I) for s, n in names.items() if n}
    for line in lines:
        for speaker, pattern in patterns.items():
            if speaker != line.speaker and pattern.search(line.text):
                calls[line.speaker, speaker] += 1
    return calls


def guided_languages() -> tuple[str, ...]:
    """Return the languages whose forms of address are known."""
    return tuple(_table("address"))


def style_guide(language: str, register: Register, tone: str) -> str:
    """Say in two or three sentences how to translate into a language, worded as a guess."""
    known = _table("address")
    informal, formal = known.get(language) or known.get(language.split("-")[0]) or ("", "")
    if not formal:
        address = "Keep the original's forms of address."
    elif register == "formal":
        address = (
            f"People are called Sir, Ma'am, Mr or by rank: {formal!r} between strangers and "
            f"upwards is likely right, {informal!r} among intimates (a guess from the text)."
        )
    elif register == "informal":
        address = (
            f"People speak casually: {informal!r} is likely right nearly everywhere, {formal!r} "
            "only to strangers in office (a guess from the text)."
        )
    else:
        address = (
            f"The text does not show how formal people are: {informal!r} among people who know "
            f"each other, {formal!r} otherwise, and the same pair always the same way."
        )
    return f"{address} Tone of the original: {tone}. {_RULES}"


_RULES = (
    "Names stay as they are. Spoken language, contractions welcome, no longer than the original."
)
