"""Kokoro-82M's files and network: phonemes and a voice in, sound out.

Three layouts of the same model are read: the hub's ``onnx/model*.onnx`` with ``voices/NAME.bin``
and ``tokenizer.json``; the releases of kokoro-onnx, ``kokoro-v1.0*.onnx`` with ``voices-v1.0.bin``
(an npz archive); and any folder that mixes them.

The network first decides how many frames each phoneme lasts, and divides them by the speed. That
small part is cut out and run alone, at 2 % of the cost of the sound, so that the length of a line
at any speed is known before it is spoken.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.onnx_session import open_session
from dubarr_pipeline.engines.synthesis.espeak_library import ESPEAK
from dubarr_pipeline.engines.synthesis.kokoro_text import MOST_TOKENS, find_accent, spell, tokens
from dubarr_pipeline.engines.synthesis.stock_synthesizer import PlannedPassage, StockModel
from dubarr_pipeline.errors import EngineError, MissingRequirement
from dubarr_pipeline.media.audio.edges import EDGE_S
from dubarr_pipeline.models.onnx_graph import OnnxGraph, follow
from dubarr_pipeline.text.sentences import BORDERS, pieces
from dubarr_pipeline.text.tables import read_table

if TYPE_CHECKING:
    import onnxruntime

RATE = 24000
FRAME = 600
"""Samples that a frame of the network lasts."""
STYLE = 256
"""Numbers that describe a voice, for each count of phonemes."""
_NUMPY = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_SHORT, _LONG = 4, 40
"""Signs of the texts between which the shares of silence below change."""
_LEAD = (0.74, 0.89)
"""Silent share of the first token's frames, in a short and in a long text: measured over all voices
(docs/decisions/0023-neural-voices.md)."""
_TAIL = (0.65, 0.85)
"""That of the last three tokens' frames, for voices that have not been measured."""
_PASSES_ON = frozenset({"Cast", "Unsqueeze", "Squeeze", "Reshape", "Identity", "Expand"})


class KokoroModel(StockModel):
    """A loaded model, with its vocabulary and its voices."""

    rate = RATE

    def __init__(self, folder: Path, cores: int = 1) -> None:
        path = model_file(folder)
        self._vocabulary = read_vocabulary(folder)
        self._style_of = _styles(folder)
        self._styles: dict[str, NDArray[np.float32]] = {}
        self._sound = open_session(path, cores=cores)
        self._check(path)
        graph = _parsed(path)
        self.is_random = any(node.operator.startswith("Random") for node in graph.nodes)
        self._frames = self._cut_frames(path, graph)
        ESPEAK.open()

    def close(self) -> None:
        ESPEAK.close()

    def passages(self, text: str, language: str, voice: str) -> list[KokoroPassage]:
        accent = find_accent(language, voice)
        assert accent is not None
        spelled = pieces(spell(text, language, accent), MOST_TOKENS, BORDERS)
        read = [numbers for part in spelled if (numbers := tokens(part, self._vocabulary))]
        return [KokoroPassage(self, numbers, voice) for numbers in read]

    def _check(self, path: Path) -> None:
        ranks = [len(given.shape) for given in self._sound.get_inputs()]
        kinds = [given.type for given in self._sound.get_inputs()]
        if ranks != [2, 2, 1] or not set(kinds) <= set(_NUMPY):
            found = ", ".join(f"{g.name} {g.type} {g.shape}" for g in self._sound.get_inputs())
            raise EngineError(
                f"{path} is not a Kokoro model: it takes {found or 'nothing'}, not tokens (1, n), "
                "style (1, 256), speed (1,)"
            )

    def _cut_frames(self, path: Path, graph: OnnxGraph) -> onnxruntime.InferenceSession | None:
        """Return the part that decides the frames at speed 1; None if it is not where it was."""
        speed = self._sound.get_inputs()[2].name
        for node in follow(graph.nodes, speed, _PASSES_ON):
            if node.operator == "Div":
                return open_session(path, graph.cut(node.inputs[0]))
        return None

    def style(self, voice: str, signs: int) -> NDArray[np.float32]:
        """Return a voice as it speaks so many signs, ``(1, 256)``."""
        if voice not in self._styles:
            table = self._style_of(voice)
            if table.size % STYLE or not table.size or not np.isfinite(table).all():
                raise EngineError(
                    f"the voice {voice!r} of Kokoro is damaged: {table.size} numbers, which is no "
                    f"multiple of {STYLE}; fetch the model again"
                )
            self._styles[voice] = table.reshape(-1, STYLE)
        table = self._styles[voice]
        return table[min(max(signs - 1, 0), len(table) - 1)].reshape(1, STYLE)

    def frames(self, tokens: Sequence[int], voice: str) -> NDArray[np.float64] | None:
        """Return how many frames each phoneme lasts at speed 1, before they are rounded.

        ``(tokens + 2,)``: with the silence before and behind; None if the model does not tell.
        """
        if self._frames is None:
            return None
        known = {given.name for given in self._frames.get_inputs()}
        feed = {n: v for n, v in self._feed(tokens, voice, 1.0).items() if n in known}
        return np.asarray(self._frames.run(None, feed)[0], np.float64).reshape(-1)

    def sound(self, tokens: Sequence[int], voice: str, speed: float) -> Samples:
        """Speak the tokens: mono float32 ``(samples,)`` at `RATE`, with the silence around them."""
        found = self._sound.run(None, self._feed(tokens, voice, speed))[0]
        return np.asarray(found, np.float32).reshape(-1)

    def _feed(self, tokens: Sequence[int], voice: str, speed: float) -> dict[str, Any]:
        # By position: exports differ in names and in the types of their numbers.
        values = (np.array([[0, *tokens, 0]]), self.style(voice, len(tokens)), np.array([speed]))
        inputs = self._sound.get_inputs()
        return {
            given.name: value.astype(_NUMPY[given.type])
            for given, value in zip(inputs, values, strict=True)
        }


class KokoroPassage(PlannedPassage):
    """At most 510 phonemes, by their numbers, in one voice."""

    def __init__(self, model: KokoroModel, numbers: Sequence[int], voice: str) -> None:
        self._model, self.numbers, self._voice = model, numbers, voice
        self._frames = model.frames(numbers, voice)
        voices = read_table("dubarr_pipeline.engines.synthesis", "kokoro_voices")["voices"]
        self._tail: Sequence[float] = voices.get(voice, {}).get("tail", _TAIL)

    def length_s(self, speed: float) -> float | None:
        if self._frames is None:
            return None
        lasting = np.maximum(np.round(self._frames / speed), 1)
        signs, between = len(self.numbers), (_SHORT, _LONG)
        lead, tail = (np.interp(signs, between, shares) for shares in (_LEAD, self._tail))
        silent = lead * lasting[0] + tail * lasting[-3:].sum()
        return max(1.0, float(lasting.sum() - silent)) * FRAME / RATE + 2 * EDGE_S

    def sound(self, speed: float) -> Samples:
        return self._model.sound(self.numbers, self._voice, speed)


def model_file(folder: Path) -> Path:
    """Return the network's file: the int8 one where there are several."""
    found = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
    quantized = [p for p in found if "int8" in p.stem or p.stem.endswith("quantized")]
    if not found:
        raise MissingRequirement(f"{folder} holds no Kokoro model (*.onnx): pull it again")
    return (quantized or found)[0]


def read_vocabulary(folder: Path) -> Mapping[str, int]:
    """Read the numbers of the signs. Raises `MissingRequirement` or `EngineError`."""
    # The hub's config.json has none, that of hexgrad/Kokoro-82M has.
    for path in (folder / name for name in ("config.json", "vocab.json", "tokenizer.json")):
        try:
            document = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            table = document.get("vocab") or document.get("model", {}).get("vocab") or {}
            found = {str(sign): int(number) for sign, number in table.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise EngineError(f"{path} holds no vocabulary ({error}): pull it again") from error
        if found:
            return found
    raise MissingRequirement(
        f"{folder} holds no vocabulary of Kokoro (config.json, vocab.json or tokenizer.json): "
        "pull the model again"
    )


def voice_names(folder: Path) -> frozenset[str]:
    """Return the voices of a model's folder; reads no weights."""
    names = {path.stem for path in folder.glob("voices/*.bin")}
    for archive in folder.glob("voices*.bin"):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as held:
                names |= {Path(name).stem for name in held.namelist()}
    return frozenset(names)


def _styles(folder: Path) -> Callable[[str], NDArray[np.float32]]:
    def read(voice: str) -> NDArray[np.float32]:
        single = folder / "voices" / f"{voice}.bin"
        if single.is_file():
            return np.frombuffer(single.read_bytes()[: single.stat().st_size // 4 * 4], np.float32)
        for archive in folder.glob("voices*.bin"):
            with np.load(archive, allow_pickle=False) as held:
                if voice in held:
                    return np.asarray(held[voice], np.float32).reshape(-1)
        raise EngineError(
            f"the voice {voice!r} of Kokoro is not in {folder}: fetch the model again"
        )

    return read


def _parsed(path: Path) -> OnnxGraph:
    try:
        return OnnxGraph.parse(path.read_bytes())
    except ValueError as error:
        raise EngineError(f"{path}: {error}: fetch the model again") from error
