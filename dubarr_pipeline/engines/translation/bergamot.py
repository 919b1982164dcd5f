"""Firefox's translation models: from 51 languages into 44, directly or through English.

Each direction is a model of its own (12 to 39 MB to fetch); a line takes hundredths of a second on
one core. Only the models of the film's languages are needed and loaded.

Weights: MPL-2.0, https://github.com/mozilla/firefox-translations-models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, Need
from dubarr_pipeline.engines.requirements import model_in_store, package_need, require
from dubarr_pipeline.engines.translation.lite import SubtitlesFirst, SubtitleTranslator
from dubarr_pipeline.engines.translation.marian import (
    END,
    Shortlist,
    Student,
    read_file,
    read_weights,
)
from dubarr_pipeline.engines.translation.reply_checks import base, keeps_term, terms_in
from dubarr_pipeline.engines.translation.sentence_model import SPELLING_CURE, SentenceTranslator
from dubarr_pipeline.errors import EngineError, LanguageError, MissingRequirement
from dubarr_pipeline.models.manifest import PAIRED, all_models
from dubarr_pipeline.models.store import (
    is_present,
    local_folder,
    model_folder,
    model_identity,
    own_manifest,
)
from dubarr_pipeline.text.sentences import is_stuck

if TYPE_CHECKING:
    import sentencepiece

Pair = tuple[str, str]
"""Source and target language."""

_ALIASES = {"no": "nb", "iw": "he", "cmn": "zh"}
_PIVOT = "en"
_AS_GOOD = 0.1
"""Wordings that score so much less per word (natural logarithm) are as good: docs/decisions/0027.

On a hundred lines the shortest of these has 73.9 chrF, the longest 74.6, the likeliest 74.5; within
0.2 they have 71.0 and 72.5.
"""
_MARKUP = re.compile(r"<[^<>]{1,40}>|\{\\[^{}]*\}")
_NOISES = re.compile(
    r"\W*(?:(?:[bcdfghjklmnpqrstvwxz]+|[a-z]*([a-z])\1\1[a-z]*)(?:\W+|$))+", re.IGNORECASE
)
"""Words without vowels, or with a letter drawn out: "Hmm", "Shh", "Aaah"."""


@dataclass(frozen=True, slots=True)
class BergamotOptions:
    """Translation models and their search.

    Attributes:
        models: what their names begin with in `dubarr models list`, or a folder with a folder for
            each pair of languages (``en-es``) that holds a model's files.
        beams: wordings searched at once.
        longest_tokens: of one sentence's translation.
    """

    models: str = PAIRED
    beams: int = 4
    longest_tokens: int = 200


class PairTranslator(SentenceTranslator):
    """Translates single lines by the model of their languages, in this process, on one core.

    `pairs` are the (source, target) languages that `needs` lists and `identity` names.
    """

    name: ClassVar[str] = "bergamot"

    def __init__(self, pairs: tuple[Pair, ...], options: BergamotOptions) -> None:
        super().__init__()
        self.options = options
        self._pairs = pairs
        self._directions: dict[Pair, _Direction] = {}

    def identity(self) -> str:
        o = self.options
        models = " ".join(model_identity(name) for name in self._models())
        return f"{self.name}/1 beams={o.beams} most={o.longest_tokens} {models}".rstrip()

    def needs(self) -> tuple[Need, ...]:
        packages = (
            package_need("sentencepiece", "sentencepiece", SPELLING_CURE),
            package_need("threadpoolctl", "threadpoolctl", SPELLING_CURE),
        )
        return (*packages, *map(model_in_store, self._models()))

    def load(self) -> None:
        require(self)
        for source, target in self._pairs:
            for hop in self._hops(source, target):
                self._direction(hop)

    def unload(self) -> None:
        self._directions.clear()

    def serves(self, source: str, target: str) -> bool:
        return bool(self._hops(source, target))

    def has(self, source: str, target: str) -> bool:
        """Return whether the models for these languages are here. Cheap."""
        hops = self._hops(source, target)
        return bool(hops) and all(is_present(self._name(hop)) for hop in hops)

    def targets(self, source: str) -> tuple[str, ...]:
        found = sorted({target for _, target in self._known()})
        return tuple(target for target in found if self.serves(source, target))

    def wordings(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        from threadpoolctl import threadpool_limits

        texts = [_plain(sentence) for sentence in sentences]
        *first, last = self._hops(source, target)
        # Matrices as small as these take ten times the CPU on two threads, which wait for another.
        with threadpool_limits(1, "blas"):
            for hop in first:
                texts = [self._search(text, hop)[0] for text in texts]
            return [self._search(text, last) for text in texts]

    def preferred(self, wordings: Sequence[str], text: str, batch: DraftBatch) -> Sequence[str]:
        """Return the wordings that keep the glossary's terms and the digits; all, if none does."""
        terms = terms_in(text, batch.context)
        return [
            wording
            for wording in wordings
            if all(keeps_term(wording, term, batch.target) for term in terms)
            and _digits(wording) == _digits(text)
        ] or wordings

    def _search(self, text: str, hop: Pair) -> list[str]:
        """Return the wordings of a sentence that are as good as the likeliest, which is first."""
        direction = self._direction(hop)
        # The model makes words of a noise.
        if _NOISES.fullmatch(text):
            return [text]
        ids: list[int] = direction.source.encode(text)
        longest = min(self.options.longest_tokens, 3 * len(ids) + 10)
        found = direction.student.translate(ids, self.options.beams, longest)
        good = [each for each in found if each.mean >= found[0].mean - _AS_GOOD]
        texts = [
            str(direction.target.decode([word for word in each.words if word != END])).strip()
            for each in good
        ]
        return [each for each in texts if not is_stuck(each)] or texts[:1]

    def _hops(self, source: str, target: str) -> tuple[Pair, ...]:
        """Return the directions from one language to another: one, two through English, or none."""
        start, end = _code(source), _code(target)
        direct: Pair = (start, end)
        pivot: tuple[Pair, ...] = ((start, _PIVOT), (_PIVOT, end))
        known = self._known()
        if start == end:
            return ()
        return (direct,) if direct in known else pivot if known.issuperset(pivot) else ()

    def _known(self) -> frozenset[Pair]:
        folder = local_folder(self.options.models)
        found = (
            [path.name for path in folder.glob("*-*")]
            if folder
            else [
                name.removeprefix(f"{self.options.models}/")
                for name in all_models(own_manifest())
                if name.startswith(f"{self.options.models}/")
            ]
        )
        pairs = (name.partition("-") for name in found)
        return frozenset((source, target) for source, _, target in pairs)

    def _models(self) -> list[str]:
        hops = [hop for pair in self._pairs for hop in self._hops(*pair)]
        return [self._name(hop) for hop in dict.fromkeys(hops)]

    def _name(self, hop: Pair) -> str:
        return f"{self.options.models}/{'-'.join(hop)}"

    def _direction(self, hop: Pair) -> _Direction:
        if hop not in self._directions:
            self._directions[hop] = _Direction(model_folder(self._name(hop)))
        return self._directions[hop]


class BergamotTranslator(SubtitlesFirst):
    """Existing subtitles, else the models of `pairs`, the (source, target) languages asked for."""

    name: ClassVar[str] = "bergamot"

    def __init__(
        self,
        subtitled: tuple[str, ...] = (),
        pairs: tuple[Pair, ...] = (),
        options: BergamotOptions | None = None,
    ) -> None:
        subtitles = SubtitleTranslator(subtitled)
        missing = tuple(pair for pair in pairs if not subtitles.serves(*pair))
        self._models = PairTranslator(missing, options or BergamotOptions())
        super().__init__(subtitled, self._models)

    def check(self, source: str, target: str) -> None:
        try:
            super().check(source, target)
        except LanguageError as error:
            cure = '[translation] engine = "m2m100" knows a hundred languages'
            raise LanguageError(f"{error}; {cure}") from None

    def draft(self, batch: DraftBatch) -> list[Draft]:
        pair = (batch.source, batch.target)
        # Subtitles that leave a line out are no reason to fetch a model, or to fail without one.
        if self._subtitles.serves(*pair) and not self._models.has(*pair):
            return self._subtitles.draft(batch)
        return super().draft(batch)


class _Direction:
    """One loaded direction: the network, and how either language spells words.

    Raises:
        MissingRequirement: if the folder lacks a file.
        EngineError: if a file is not what it should be.
    """

    def __init__(self, folder: Path) -> None:
        import sentencepiece

        def content(*patterns: str) -> bytes:
            for pattern in patterns:
                for path in sorted(folder.glob(pattern)):
                    return read_file(path)
            raise MissingRequirement(f"{folder} holds no {patterns[0]}: pull it again")

        def spelling(*patterns: str) -> sentencepiece.SentencePieceProcessor:
            return sentencepiece.SentencePieceProcessor(model_proto=content(*patterns))

        try:
            self.source = spelling("vocab.*", "srcvocab.*")
            self.target = spelling("vocab.*", "trgvocab.*")
            weights = read_weights(content("model.*"))
            self.student = Student(*weights, Shortlist.read(content("lex.*")))
        except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
            raise EngineError(f"{folder} is not a translation model of Firefox: {error}") from error


def _plain(sentence: str) -> str:
    """Return a sentence as the models know them: without markup, and not in capitals."""
    text = _MARKUP.sub("", sentence).strip()
    return text.capitalize() if text.isupper() and " " in text else text


def _digits(text: str) -> list[str]:
    return sorted(sign for sign in text if sign.isdigit())


def _code(language: str) -> str:
    """Return the models' name of a BCP-47 language; an unknown one is its own name."""
    name = base(language)
    return _ALIASES.get(name, name)
