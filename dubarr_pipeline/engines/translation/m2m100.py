"""An open translation model for a hundred languages on a CPU: M2M100 through CTranslate2.

It translates line by line and knows nothing of the film; the target language is forced as the first
token of every answer. Several beams of one search give wordings of different lengths.

Fan et al., "Beyond English-Centric Multilingual Machine Translation" (2020). Weights: MIT.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dubarr_pipeline.engines.interfaces import (
    Draft,
    DraftBatch,
    LineToDraft,
    Need,
    Translator,
)
from dubarr_pipeline.engines.needs import model_in_store, package_need
from dubarr_pipeline.engines.translation.reply_faults import base, find_fault
from dubarr_pipeline.errors import EngineError, LanguageError, MissingRequirement
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.timeline.sentences import sentence_starts

if TYPE_CHECKING:
    import ctranslate2
    import sentencepiece

_log = logging.getLogger(__name__)

LANGUAGES = (
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu "
    "ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms "
    "my ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur "
    "uz vi wo xh yi yo zh zu"
).split()
"""As the model names them."""
_ALIASES = {"nb": "no", "nn": "no", "iw": "he", "fil": "tl", "nso": "ns", "cmn": "zh"}
_END = "</s>"
_CURE = "pip install 'dubarr-pipeline[laptop]'"


@dataclass(frozen=True, slots=True)
class M2M100Options:
    """Which model translates, and how hard it searches.

    Attributes:
        model: a name of `dubarr models list`, or a folder with a CTranslate2 model and
            ``sentencepiece.bpe.model``.
        precision: of the arithmetic; int8 is fastest on a CPU.
        beams: wordings searched at once.
        wordings: of different length that are kept for each line, at most `beams`.
        threads: CPU threads; 0: as many as there are cores.
        longest_tokens: of one sentence's translation.
    """

    model: str = "jncraton/m2m100_418M-ct2-int8"
    precision: Literal["int8", "int16", "float32", "auto"] = "int8"
    beams: int = 5
    wordings: int = 3
    threads: int = 0
    longest_tokens: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        if not 1 <= self.wordings <= self.beams:
            raise ValueError(f"wordings must lie between 1 and beams ({self.beams})")


class M2M100Translator(Translator):
    """Translates single lines with M2M100, in this process, on the CPU."""

    name: ClassVar[str] = "m2m100"
    can_rewrite: ClassVar[bool] = False

    def __init__(self, options: M2M100Options | None = None) -> None:
        self.options = options or M2M100Options()
        self.faults: dict[int, str] = {}
        self._model: ctranslate2.Translator | None = None
        self._pieces: sentencepiece.SentencePieceProcessor | None = None

    def identity(self) -> str:
        """Name, weights and search."""
        o = self.options
        search = f"{o.precision} beams={o.beams} wordings={o.wordings} most={o.longest_tokens}"
        return f"{self.name}/1 {model_identity(o.model)} {search}"

    def needs(self) -> tuple[Need, ...]:
        """The package that cuts words into pieces, and the model."""
        package = package_need("sentencepiece", "sentencepiece", _CURE)
        return (package, model_in_store(self.options.model))

    def load(self) -> None:
        """Bring the model into memory: about 0.5 GB.

        Raises:
            MissingRequirement: if the package or the model is not here.
            EngineError: if the folder holds no model of this kind.
        """
        if self._model is not None:
            return
        import ctranslate2

        try:
            import sentencepiece
        except ImportError as error:
            raise MissingRequirement(
                f"the translator m2m100 needs sentencepiece: {_CURE}"
            ) from error
        folder = model_folder(self.options.model)
        spelling = folder / "sentencepiece.bpe.model"
        if not spelling.is_file():
            raise MissingRequirement(f"{folder} holds no sentencepiece.bpe.model: pull it again")
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(spelling))
            self._model = ctranslate2.Translator(
                str(folder),
                device="cpu",
                compute_type=self.options.precision,
                intra_threads=self.options.threads or os.cpu_count() or 1,
            )
        except (RuntimeError, OSError) as error:
            raise EngineError(f"{folder} is no CTranslate2 model of M2M100: {error}") from error

    def unload(self) -> None:
        """Give all memory back."""
        if self._model is not None:
            self._model.unload_model()
        self._model = self._pieces = None

    def serves(self, source: str, target: str) -> bool:
        """Whether the model knows both languages, and they are two."""
        codes = (code(source), code(target))
        return None not in codes and codes[0] != codes[1]

    def targets(self, source: str) -> tuple[str, ...]:
        """All other languages that the model knows."""
        return tuple(found for found in LANGUAGES if self.serves(source, found))

    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Translate every line; one that stays wrong carries its fault.

        Raises:
            LanguageError: if the model does not know a language.
        """
        if not self.serves(batch.source, batch.target):
            listed = ", ".join(self.targets(batch.source) or LANGUAGES)
            raise LanguageError(
                f"m2m100 does not translate {batch.source!r} to {batch.target!r} (it serves: "
                f"{listed})"
            )
        wordings = self._translate([line.segment.text for line in batch.lines], batch)
        drafts = [
            self._checked(line, found, batch)
            for line, found in zip(batch.lines, wordings, strict=True)
        ]
        self.faults = {draft.index: draft.fault for draft in drafts if draft.fault}
        return drafts

    def _checked(self, line: LineToDraft, found: Sequence[str], batch: DraftBatch) -> Draft:
        """The wordings without fault, shortest first, or the fault of the likeliest."""
        languages = (batch.source, batch.target)
        text = line.segment.text
        index = line.segment.index
        if not any(sign.isalnum() for sign in text):
            return Draft(index, (), "empty_translation")
        faults = [find_fault(wording, text, languages) for wording in found]
        good = dict.fromkeys(w for w, fault in zip(found, faults, strict=True) if fault is None)
        if not good:
            return Draft(index, (), faults[0])
        return Draft(index, tuple(sorted(good, key=len)))

    def _translate(self, texts: Sequence[str], batch: DraftBatch) -> list[tuple[str, ...]]:
        """The likeliest wordings of every text, best first; sentence by sentence, joined again."""
        model, pieces = self._loaded()
        sentences = [(at, s) for at, text in enumerate(texts) for s in _sentences(text)]
        if not sentences:
            return [() for _ in texts]
        spelled = f"__{code(batch.source)}__"
        results = model.translate_batch(
            [[spelled, *pieces.encode(s, out_type=str), _END] for _, s in sentences],
            target_prefix=[[f"__{code(batch.target)}__"]] * len(sentences),
            beam_size=self.options.beams,
            num_hypotheses=self.options.wordings,
            max_decoding_length=self.options.longest_tokens,
            max_batch_size=1024,
            batch_type="tokens",
            repetition_penalty=1.1,
        )
        spoken: list[list[list[str]]] = [[] for _ in texts]
        for (at, _), result in zip(sentences, results, strict=True):
            spoken[at].append([_text(pieces, tokens) for tokens in result.hypotheses])
        return [tuple(" ".join(part) for part in zip(*found, strict=True)) for found in spoken]

    def _loaded(self) -> tuple[Any, Any]:
        if self._model is None or self._pieces is None:
            raise MissingRequirement("the translator is not loaded")
        return self._model, self._pieces


def code(language: str) -> str | None:
    """The model's name of a BCP-47 language, or None if it does not know it."""
    found = base(language)
    found = _ALIASES.get(found, found)
    return found if found in LANGUAGES else None


def _sentences(text: str) -> list[str]:
    words = text.split()
    edges = [0, *sentence_starts(words), len(words)]
    parts = [" ".join(words[start:end]) for start, end in pairwise(edges)]
    return [part for part in parts if any(sign.isalnum() for sign in part)]


def _text(pieces: Any, tokens: Iterable[str]) -> str:
    """A wording without the tokens that name languages or ends."""
    words = [t for t in tokens if not (t.startswith("__") and t.endswith("__")) and t != _END]
    return str(pieces.decode(words)).strip()
