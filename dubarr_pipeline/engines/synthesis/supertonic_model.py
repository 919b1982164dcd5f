"""Supertonic's files and networks: letters and a voice in, sound out.

Four networks: the first tells how many seconds a text takes, the second encodes it, the third turns
noise into a sketch of the sound in a few steps (flow matching), the fourth makes the sound of it.
The noise is drawn from a generator that the text and the voice seed: the same request gives the
same samples.

Kim et al., "SupertonicTTS: Towards Highly Efficient and Streamlined Text-to-Speech System" (2025).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.onnx_session import open_session
from dubarr_pipeline.engines.synthesis.stock_synthesizer import PlannedPassage, StockModel
from dubarr_pipeline.errors import EngineError, MissingRequirement
from dubarr_pipeline.text.languages import base_language
from dubarr_pipeline.text.sentences import BORDERS, pieces
from dubarr_pipeline.text.tables import read_table

if TYPE_CHECKING:
    import onnxruntime

_NETWORKS = ("duration_predictor", "text_encoder", "vector_estimator", "vocoder")
_LONGEST, _LONGEST_KOREAN = 300, 120
"""Characters of one rendering, as the model's authors limit them."""
_CLOSED = re.compile(r"""[.!?;:,'")\]}…。」』】〉》\u203a»]$""")


@dataclass(frozen=True, slots=True)
class Style:
    """A voice: one table for the sound, one for the lengths, each with a first axis of 1."""

    sound: NDArray[np.float32]
    lengths: NDArray[np.float32]


class SupertonicModel(StockModel):
    """The loaded networks, with their alphabet and their voices."""

    def __init__(self, folder: Path, steps: int, cores: int = 1) -> None:
        paths = [folder / "onnx" / f"{name}.onnx" for name in _NETWORKS]
        settings = _document(folder / "onnx" / "tts.json")
        self._alphabet = _document(folder / "onnx" / "unicode_indexer.json")
        for path in paths:
            if not path.is_file():
                raise MissingRequirement(f"{path} is missing: pull the model again")
        try:
            self.rate = int(settings["ae"]["sample_rate"])
            compressed = int(settings["ttl"]["chunk_compress_factor"])
            self._chunk = int(settings["ae"]["base_chunk_size"]) * compressed
            self._width = int(settings["ttl"]["latent_dim"]) * compressed
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"{folder}/onnx/tts.json is none of Supertonic's: {error}") from error
        self._lengths, self._letters, self._sketch, self._sound = (
            open_session(path, cores=cores) for path in paths
        )
        self._folder, self._steps = folder, steps
        self._styles: dict[str, Style] = {}

    def passages(self, text: str, language: str, voice: str) -> list[SupertonicPassage]:
        tag = base_language(language)
        parts = pieces(clean(text), _LONGEST_KOREAN if tag == "ko" else _LONGEST, BORDERS)
        spoken = [part for part in parts if self._numbers("".join(filter(str.isalnum, part)))]
        letters = (self._numbers(f"<{tag}>{closed(part)}</{tag}>") for part in spoken)
        return [SupertonicPassage(self, np.array([each], np.int64), voice) for each in letters]

    def _numbers(self, text: str) -> list[int]:
        """Return the numbers of the letters; those that the model does not know are left out."""
        known = (self._alphabet[ord(c)] for c in text if ord(c) < len(self._alphabet))
        return [number for number in known if number >= 0]

    def style(self, voice: str) -> Style:
        """Return a voice of the model's folder."""
        if voice not in self._styles:
            path = self._folder / "voice_styles" / f"{voice}.json"
            document = _document(path)
            try:
                tables = (
                    np.array(document[part]["data"], np.float32).reshape(*document[part]["dims"])
                    for part in ("style_ttl", "style_dp")
                )
                self._styles[voice] = Style(*tables)
            except (KeyError, TypeError, ValueError) as error:
                raise EngineError(f"{path} is no voice of Supertonic: {error}") from error
        return self._styles[voice]

    def length_s(self, letters: NDArray[np.int64], voice: str) -> float:
        """Return the seconds that the letters take at speed 1."""
        style, mask = self.style(voice), _ones(letters)
        feed = {"text_ids": letters, "style_dp": style.lengths, "text_mask": mask}
        return float(np.asarray(self._run(self._lengths, feed)).reshape(-1)[0])

    def sound(self, letters: NDArray[np.int64], voice: str, length_s: float) -> Samples:
        """Speak the letters in so many seconds: mono float32 ``(samples,)``."""
        style, mask = self.style(voice), _ones(letters)
        feed = {"text_ids": letters, "style_ttl": style.sound, "text_mask": mask}
        text = self._run(self._letters, feed)
        samples = max(1, int(length_s * self.rate))
        frames = -(-samples // self._chunk)
        seed = hashlib.sha256(letters.tobytes() + voice.encode()).digest()
        noise = np.random.default_rng(int.from_bytes(seed[:8], "big"))
        sketch = noise.standard_normal((1, self._width, frames), np.float32)
        for step in range(self._steps):
            feed = {
                "noisy_latent": sketch,
                "text_emb": text,
                "style_ttl": style.sound,
                "text_mask": mask,
                "latent_mask": np.ones((1, 1, frames), np.float32),
                "current_step": np.array([step], np.float32),
                "total_step": np.array([self._steps], np.float32),
            }
            sketch = self._run(self._sketch, feed)
        sound = self._run(self._sound, {"latent": sketch})
        return np.asarray(sound, np.float32).reshape(-1)[:samples]

    def _run(self, network: onnxruntime.InferenceSession, feed: dict[str, Any]) -> Any:
        return network.run(None, feed)[0]


class SupertonicPassage(PlannedPassage):
    """At most 300 letters in one voice."""

    def __init__(self, model: SupertonicModel, letters: NDArray[np.int64], voice: str) -> None:
        self._model, self.letters, self._voice = model, letters, voice
        self._natural_s = model.length_s(letters, voice)

    def length_s(self, speed: float) -> float:
        return self._natural_s / speed

    def sound(self, speed: float) -> Samples:
        return self._model.sound(self.letters, self._voice, self._natural_s / speed)


def clean(text: str) -> str:
    """Return a text in the signs that the networks know, decomposed (NFKD)."""
    plain = unicodedata.normalize("NFKD", text)
    table = read_table("dubarr_pipeline.engines.synthesis", "supertonic")["replaced"]
    for sign, other in table.items():
        plain = plain.replace(sign, other)
    plain = re.sub(r" (?=[,.!?;:'])", "", plain)
    return " ".join(re.sub(r"(['\"])\1+", r"\1", plain).split())


def closed(text: str) -> str:
    """Return a text with a full stop if no mark ends it: without one its end is swallowed."""
    return text if _CLOSED.search(text) else f"{text}."


def _ones(letters: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.ones((1, 1, letters.size), np.float32)


def _document(path: Path) -> Any:
    if not path.is_file():
        raise MissingRequirement(f"{path} is missing: pull the model again")
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise EngineError(f"{path} cannot be read ({error}): pull the model again") from error
