"""What can be said of a script by counting: tone, names and terms, who talks with whom."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from dubarr_pipeline.timeline.script import Segment, Term, Transcript
from dubarr_pipeline.timeline.sentences import ends_sentence
from dubarr_pipeline.timeline.speech_weight import word_weight

_EDGES = "\"'“”‘’«»¿¡()[]{}.,;:!?…-–—*_"
_COMMON = frozenset(
    (
        "i i'm i've i'll i'd the a an and or but so if then he she it we you they me him her us "
        "them my your his its our their this that these those what who where when why how which "
        "yes no not oh ok okay well hey hi hello good god please thanks thank sorry right now here "
        "there let let's come go get just all one two three some any every never always maybe can "
        "could will would shall should may might must do does did is are was were be been have has "
        "had in on at to of for from with by about as mr mrs ms dr sir ma'am madam miss monday "
        "tuesday wednesday thursday friday saturday sunday january february march april may june "
        "july august september october november december english"
    ).split()
)
_FORMAL = re.compile(
    r"\b(?:sir|ma'am|madam|mr|mrs|ms|miss|your (?:honou?r|majesty|highness|excellency|grace)|my "
    r"lord|"
    r"my lady|doctor|professor|captain|officer)\b",
    re.I,
)
_INFORMAL = re.compile(
    r"\b(?:dude|buddy|bro|man|mate|honey|babe|sweetie|darling|pal|guys|gonna|wanna|gotta|ain't"
    r"|yeah|"
    r"mom|mum|dad|hey)\b",
    re.I,
)
Register = Literal["formal", "informal", "mixed"]


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """What one speaker says: lines, words and seconds of speech."""

    speaker: str
    lines: int
    words: int
    seconds: float

    @property
    def words_per_s(self) -> float:
        """Their pace; 0 where nothing was timed."""
        return self.words / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ToneCount:
    """How a script speaks, as shares of its lines.

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


def count_speakers(transcript: Transcript) -> dict[str, SpeakerCount]:
    """Count the lines of every speaker, who says most first."""
    lines, words = Counter[str](), Counter[str]()
    seconds: defaultdict[str, float] = defaultdict(float)
    for line in transcript.lines:
        lines[line.speaker] += 1
        words[line.speaker] += len(line.text.split())
        seconds[line.speaker] += line.span.length / transcript.rate
    ranked = sorted(lines, key=lambda s: (-words[s], s))
    return {s: SpeakerCount(s, lines[s], words[s], seconds[s]) for s in ranked}


def count_tone(transcript: Transcript) -> ToneCount:
    """Count what tells how a script speaks."""
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
        len(_FORMAL.findall(text)),
        len(_INFORMAL.findall(text)),
    )


def describe_tone(tone: ToneCount) -> str:
    """Put the counts into a few words, with the counts behind them.

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

    Names of several words ("Jordi Mas") are kept together. Ordered by how often they come, then by
    the alphabet.
    """
    found: Counter[str] = Counter()
    for line in transcript.lines:
        found.update(_capitalised(line.text))
    lower = Counter(word.strip(_EDGES) for line in transcript.lines for word in line.text.split())
    proper = {t: n for t, n in found.items() if " " in t or n >= lower[t.casefold()]}
    ranked = sorted(proper, key=lambda t: (-proper[t], t))[:most]
    return tuple(Term(term, "name") for term in ranked)


def _capitalised(text: str) -> list[str]:
    if text.isupper():
        return []
    terms: list[str] = []
    run: list[str] = []
    words = text.split()
    for i, word in enumerate(words):
        bare = _bare(word)
        first = i == 0 or ends_sentence(words[i - 1])
        proper = bare[:1].isupper() and bare.casefold() not in _COMMON and not bare.isdigit()
        if proper and (run or not first):
            run.append(bare)
        if run and (not proper or word.rstrip("\"'”’") != word.rstrip(_EDGES)):
            terms.append(" ".join(run))
            run = []
    return [*terms, " ".join(run)] if run else terms


def _bare(word: str) -> str:
    stripped = word.strip(_EDGES)
    return re.sub(r"['’]s$", "", stripped)


def find_repeated(transcript: Transcript, least: int = 4, most: int = 20) -> tuple[Term, ...]:
    """Find longer words that come again and again, and should always be translated alike."""
    found = Counter(
        bare.casefold()
        for line in transcript.lines
        for word in line.text.split()
        if (bare := _bare(word)).islower() and word_weight(bare) >= 2 and len(bare) >= 7
    )
    ranked = sorted((w for w in found if found[w] >= least), key=lambda w: (-found[w], w))
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
    """Count who says whose name: ``(speaker, speaker that is named)``.

    Args:
        lines: of the script.
        names: speaker -> name.
    """
    calls: Counter[tuple[str, str]] = Counter()
    patterns = {s: re.compile(rf"\b{re.escape(n)}\b", re.I) for s, n in names.items() if n}
    for line in lines:
        for speaker, pattern in patterns.items():
            if speaker != line.speaker and pattern.search(line.text):
                calls[line.speaker, speaker] += 1
    return calls
