"""An open translation model for a hundred languages on a CPU: M2M100 through CTranslate2.

It translates line by line and knows nothing of the film; the target language is forced as the first
token of every answer. Several beams of one search give wordings of different lengths.

Fan et al., "Beyond English-Centric Multilingual Machine Translation" (2020). Weights: MIT.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.requirements import model_in_store, package_need, require
from dubarr_pipeline.engines.translation.reply_checks import base
from dubarr_pipeline.engines.translation.sentence_model import SPELLING_CURE, SentenceTranslator
from dubarr_pipeline.errors import EngineError, MissingRequirement
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.text.tables import read_table

if TYPE_CHECKING:
    import ctranslate2
    import sentencepiece

_ALIASES = {"nb": "no", "nn": "no", "iw": "he", "fil": "tl", "nso": "ns", "cmn": "zh"}
_END = "</s>"


@dataclass(frozen=True, slots=True)
class M2M100Options:
    """Translation model and its search.

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
        if self.wordings > self.beams:
            raise ValueError(f"wordings must be at most beams ({self.beams})")


class M2M100Translator(SentenceTranslator):
    """Translates single lines with M2M100, in this process, on the CPU."""

    name: ClassVar[str] = "m2m100"

    def __init__(self, options: M2M100Options | None = None) -> None:
        super().__init__()
        self.options = options or M2M100Options()
        self._model: ctranslate2.Translator | None = None
        self._pieces: sentencepiece.SentencePieceProcessor | None = None

    def identity(self) -> str:
        o = self.options
        search = f"{o.precision} beams={o.beams} wordings={o.wordings} most={o.longest_tokens}"
        return f"{self.name}/1 {model_identity(o.model)} {search}"

    def needs(self) -> tuple[Need, ...]:
        package = package_need("sentencepiece", "sentencepiece", SPELLING_CURE)
        return (package, model_in_store(self.options.model))

    def load(self) -> None:
        if self._model is not None:
            return
        require(self)
        import ctranslate2
        import sentencepiece

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
            raise EngineError(f"{folder} is not a CTranslate2 model of M2M100: {error}") from error

    def unload(self) -> None:
        if self._model is not None:
            self._model.unload_model()
        self._model = self._pieces = None

    def serves(self, source: str, target: str) -> bool:
        codes = (code(source), code(target))
        return None not in codes and codes[0] != codes[1]

    def targets(self, source: str) -> tuple[str, ...]:
        return tuple(language for language in _languages() if self.serves(source, language))

    def wordings(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        model, pieces = self._model, self._pieces
        if model is None or pieces is None:
            raise MissingRequirement("the translator is not loaded")
        spelled = f"__{code(source)}__"
        results = model.translate_batch(
            [[spelled, *pieces.encode(s, out_type=str), _END] for s in sentences],
            target_prefix=[[f"__{code(target)}__"]] * len(sentences),
            beam_size=self.options.beams,
            num_hypotheses=self.options.wordings,
            max_decoding_length=self.options.longest_tokens,
            max_batch_size=1024,
            batch_type="tokens",
            repetition_penalty=1.1,
        )
        found: list[list[str]] = []
        for result in results:
            texts: list[str] = []
            for tokens in result.hypotheses:
                is_mark = (t == _END or (t.startswith("__") and t.endswith("__")) for t in tokens)
                said = [t for t, mark in zip(tokens, is_mark, strict=True) if not mark]
                texts.append(str(pieces.decode(said)).strip())
            found.append(texts)
        return found


def code(language: str) -> str | None:
    """Return the model's name of a BCP-47 language, or None if it does not know it."""
    name = base(language)
    name = _ALIASES.get(name, name)
    return name if name in _languages() else None


def _languages() -> list[str]:
    return read_table("dubarr_pipeline.engines", "languages")["m2m100"].split()
