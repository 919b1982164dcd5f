"""Translation models that know single sentences: what they share, whatever computes them."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, Translator
from dubarr_pipeline.engines.translation.reply_checks import find_fault
from dubarr_pipeline.text.sentences import sentence_starts

SPELLING_CURE = "dubarr setup voices, or pip install 'dubarr-pipeline[laptop]'"
"""Brings sentencepiece, by which such models spell words."""


class SentenceTranslator(Translator):
    """Translates line by line, sentence by sentence, and knows nothing of the film.

    Attributes:
        faults: index of a line -> the fault that left it without a translation in the last batch.
    """

    def __init__(self) -> None:
        self.faults: dict[int, str] = {}

    @abstractmethod
    def wordings(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        """Return the likeliest translations of every sentence, best first, at least one of each.

        Raises:
            MissingRequirement: if the model is not loaded.
        """

    def preferred(self, wordings: Sequence[str], text: str, batch: DraftBatch) -> Sequence[str]:  # noqa: ARG002
        """Return those of a line's faultless wordings that may be spoken; by default all."""
        return wordings

    def draft(self, batch: DraftBatch) -> list[Draft]:
        self.check(batch.source, batch.target)
        texts = [line.segment.text for line in batch.lines]
        drafts: list[Draft] = []
        for line, found in zip(batch.lines, self._translate(texts, batch), strict=True):
            index, text = line.segment.index, line.segment.text
            if not any(sign.isalnum() for sign in text):
                drafts.append(Draft(index, (), "empty_translation"))
                continue
            faults = [find_fault(wording, text, (batch.source, batch.target)) for wording in found]
            good = dict.fromkeys(w for w, fault in zip(found, faults, strict=True) if fault is None)
            # Shortest first, or the fault of the likeliest.
            kept = tuple(sorted(self.preferred(tuple(good), text, batch), key=len))
            drafts.append(Draft(index, kept, None if kept else faults[0]))
        self.faults = {draft.index: draft.fault for draft in drafts if draft.fault}
        return drafts

    def _translate(self, texts: Sequence[str], batch: DraftBatch) -> list[tuple[str, ...]]:
        """Return the likeliest wordings of every text, best first, joined from its sentences."""
        sentences: list[tuple[int, str]] = []
        for at, text in enumerate(texts):
            words = text.split()
            edges = [0, *sentence_starts(words), len(words)]
            parts = [" ".join(words[start:end]) for start, end in pairwise(edges)]
            sentences += [(at, part) for part in parts if any(sign.isalnum() for sign in part)]
        if not sentences:
            return [() for _ in texts]
        found = self.wordings([part for _, part in sentences], batch.source, batch.target)
        spoken: list[list[list[str]]] = [[] for _ in texts]
        for (at, _), wordings in zip(sentences, found, strict=True):
            spoken[at].append(wordings)
        return [_joined(each) for each in spoken]


def _joined(sentences: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return a line's wordings; a sentence that has fewer than another gives its best again."""
    count = max(map(len, sentences), default=0)
    return tuple(
        " ".join(wordings[at] if at < len(wordings) else wordings[0] for wordings in sentences)
        for at in range(count)
    )
