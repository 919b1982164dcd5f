"""Counting heuristics on a script: tone, names and terms, pairs of speakers who talk."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from dubarr_pipeline.script.model import Segment, Term, Transcript
from dubarr_pipeline.text.sentences import ends_sentence
from dubarr_pipeline.text.syllables import word_weight

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
    r"\b(?:sir|ma'am|madam|mr|mrs|ms|miss|your (?:honou?r|majesty|highness|excellency|grace)|"
    r"my lord|my lady|doctor|professor|captain|officer)\b",
    re.I,
)
_INFORMAL = re.compile(
    r"\b(?:dude|buddy|bro|man|mate|honey|babe|sweetie|darling|pal|guys|gonna|wanna|gotta|ain't|"
    r"yeah|mom|mum|dad|hey)\b",
    re.I,
)
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
        len(_FORMAL.findall(text)),
        len(_INFORMAL.findall(text)),
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


_ADDRESS = {
    "es": ("tú", "usted"),
    "ca": ("tu", "vostè"),
    "gl": ("ti", "vostede"),
    "fr": ("tu", "vous"),
    "de": ("du", "Sie"),
    "it": ("tu", "Lei"),
    "pt": ("tu", "o senhor / a senhora"),
    "pt-BR": ("você", "o senhor / a senhora"),
    "nl": ("je", "u"),
    "pl": ("ty", "pan / pani"),
    "ru": ("ты", "вы"),
    "uk": ("ти", "ви"),
    "cs": ("ty", "vy"),
    "ro": ("tu", "dumneavoastră"),
    "hu": ("te", "Ön"),
    "tr": ("sen", "siz"),
    "sv": ("du", "du (ni is dated)"),
    "da": ("du", "De (rare)"),
    "nb": ("du", "De (rare)"),
    "fi": ("sinä", "te"),
    "el": ("εσύ", "εσείς"),
    "ja": ("plain form", "desu/masu form"),
    "ko": ("banmal", "jondaenmal"),
}
GUIDED_LANGUAGES = tuple(_ADDRESS)


def style_guide(language: str, register: Register, tone: str) -> str:
    """Say in two or three sentences how to translate into a language (BCP-47).

    The guess is worded as one: a counted register of the whole script is not the relation of two
    people.
    """
    informal, formal = _ADDRESS.get(language) or _ADDRESS.get(language.split("-")[0]) or ("", "")
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
