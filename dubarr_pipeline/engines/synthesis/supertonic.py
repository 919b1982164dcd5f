"""Ten neural voices that speak 31 languages on any computer: Supertonic 3 through onnxruntime.

Every voice speaks every language, so that a film of ten speakers has a voice for each. The model
tells the length of a text first, so that each line is rendered once, in the time that it has.

Model: Supertone/supertonic-3 (OpenRAIL-M: commercial use, with restrictions on what it may be used
for).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dubarr_pipeline.engines.synthesis.stock_synthesizer import StockSynthesizer
from dubarr_pipeline.engines.synthesis.supertonic_model import SupertonicModel
from dubarr_pipeline.script.model import StockVoice
from dubarr_pipeline.text.languages import base_language
from dubarr_pipeline.text.tables import read_table


@dataclass(frozen=True, slots=True)
class SupertonicOptions:
    """Options of Supertonic.

    Attributes:
        model: a name of `dubarr models`, or a folder.
        steps: from noise to speech; 5 is fast, 8 the authors' choice, 12 the best.
        threads: lines that are spoken at once, each by one CPU thread; 0: one for each core, at
            most four.
    """

    model: str = "Supertone/supertonic-3"
    steps: int = 8
    threads: int = 0


class SupertonicSynthesizer(StockSynthesizer):
    """Speaks lines with Supertonic's stock voices. For many threads."""

    name: ClassVar[str] = "supertonic"
    speeds: ClassVar[tuple[float, float]] = (0.6, 2.0)

    def __init__(self, options: SupertonicOptions | None = None) -> None:
        self.options = options or SupertonicOptions()
        super().__init__(self.options.model, self.options.threads)
        self.languages = tuple(_table()["languages"].split())  # pyright: ignore[reportAttributeAccessIssue]

    def identity(self) -> str:
        return f"{super().identity()} steps={self.options.steps}"

    def serves(self, language: str) -> bool:
        return base_language(language) in self.languages

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        if not self.serves(language):
            return ()
        here, sexes = self._voices_here(), _table()["voices"]
        return tuple(StockVoice(name, sexes.get(name)) for name in sorted(here))

    def known_voices(self, folder: Path | None) -> frozenset[str]:
        if folder is None:
            return frozenset(_table()["voices"])
        return frozenset(path.stem for path in folder.glob("voice_styles/*.json"))

    def _opened(self, folder: Path, cores: int) -> SupertonicModel:
        return SupertonicModel(folder, self.options.steps, cores)


def _table() -> dict[str, Any]:
    return read_table("dubarr_pipeline.engines.synthesis", "supertonic")
