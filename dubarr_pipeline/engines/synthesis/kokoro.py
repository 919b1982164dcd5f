"""Neural voices on any computer: Kokoro-82M through onnxruntime, in this process.

54 stock voices. A line takes the time that it is asked to take by the model's own speed, which is
calculated beforehand from the length of every phoneme: each line is rendered once.

Model: hexgrad/Kokoro-82M v1.0 (Apache-2.0), after StyleTTS 2 (Li et al., 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.requirements import package_need
from dubarr_pipeline.engines.synthesis.espeak_library import CURE
from dubarr_pipeline.engines.synthesis.kokoro_model import KokoroModel, voice_names
from dubarr_pipeline.engines.synthesis.kokoro_text import accents, find_accent, missing_for
from dubarr_pipeline.engines.synthesis.stock_synthesizer import StockSynthesizer
from dubarr_pipeline.script.model import StockVoice
from dubarr_pipeline.text.languages import closeness
from dubarr_pipeline.text.tables import read_table


@dataclass(frozen=True, slots=True)
class KokoroOptions:
    """Options of Kokoro.

    Attributes:
        model: a name of `dubarr models`, or a folder.
        threads: lines that are spoken at once, each by one CPU thread; 0: one for each core, at
            most four.
    """

    model: str = "onnx-community/Kokoro-82M-v1.0-ONNX"
    threads: int = 0


class KokoroSynthesizer(StockSynthesizer):
    """Speaks lines with Kokoro's stock voices. For many threads."""

    name: ClassVar[str] = "kokoro"
    speeds: ClassVar[tuple[float, float]] = (0.6, 1.7)
    languages: ClassVar[tuple[str, ...]] = ("en", "es", "fr", "hi", "it", "pt-BR", "ja", "zh")

    def __init__(self, options: KokoroOptions | None = None) -> None:
        self.options = options or KokoroOptions()
        super().__init__(self.options.model, self.options.threads)

    def needs(self) -> tuple[Need, ...]:
        return (package_need("espeakng-loader", "espeakng_loader", CURE), *super().needs())

    def serves(self, language: str) -> bool:
        return find_accent(language) is not None

    def missing_for(self, language: str) -> tuple[Need, ...]:
        return missing_for(language)

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        """Return the voices of the language, and those of others that speak it clearly."""
        accent = find_accent(language)
        if accent is None:
            return ()
        table, here = _table(), self._voices_here()
        near = {
            name: closeness(accents()[name[0]].tag, language) if name[0] in accents() else 0
            for name in table["voices"]
            if name in here and name not in table["unclear"].get(accent.tag, "").split()
        }
        native = sorted((name for name in near if near[name]), key=lambda name: -near[name])
        guests = [name for name in table["guests"].get(accent.tag, "").split() if name in here]
        return (
            *(_voice(name, native=near[name] > 1) for name in native),
            *(_voice(name, native=False) for name in guests),
        )

    def known_voices(self, folder: Path | None) -> frozenset[str]:
        return voice_names(folder) if folder else frozenset(_table()["voices"])

    def _opened(self, folder: Path, cores: int) -> KokoroModel:
        return KokoroModel(folder, cores)


def _voice(name: str, native: bool) -> StockVoice:
    facts = _table()["voices"][name]
    return StockVoice(name, facts["sex"], facts["age"], facts["pitch_hz"], native)


def _table() -> dict[str, dict[str, Any]]:
    return read_table("dubarr_pipeline.engines.synthesis", "kokoro_voices")
