"""A student model of Marian in NumPy: six layers of attention that read, a light recurrence writes.

Firefox's translation models are of this kind. Their decoder (a simpler simple recurrent unit) is
known neither to CTranslate2 nor to ONNX; what it computes is small enough for plain matrices: a
line takes hundredths of a second on one core. The weights are 8-bit numbers with one factor each
and are widened when they are read; only the words that the lexical shortlist allows are scored.

Kim et al., "From Research to Production and Back" (2019): the recurrence, and the shortlist.
Vaswani et al., "Attention Is All You Need" (2017): all else.
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Ids = NDArray[np.intp]

_INT8, _FLOAT = 0x4101, 0x0404
"""Types of numbers in a file of version 1: 8 bits with a factor behind them, and float32."""
_MOST_ITEMS = 10_000
_SHORTLIST_MAGIC = 0xF11A48D5013417F5
_NORM_EPSILON = 1e-9
_LONGEST_POSITION = 1024
_UNKNOWN = 1
"""The token for what a vocabulary cannot spell: read, but never written."""
END = 0
"""The token that ends every sentence, in all vocabularies of this kind."""


def read_file(path: Path) -> bytes:
    """Return a file's bytes, unpacked if they are packed by gzip."""
    packed = path.read_bytes()
    return gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed


@dataclass(frozen=True, slots=True)
class _Item:
    """Entry of a model file: its name, type, shape, and where its bytes lie."""

    name: str
    kind: int
    shape: tuple[int, ...]
    start: int
    size: int


def read_weights(content: bytes) -> tuple[dict[str, Matrix], str]:
    """Return the matrices of a model file by their names, and its description in YAML.

    Matrices are as their names say in Marian: ``(inputs, outputs)``, embeddings ``(words, width)``.

    Raises:
        ValueError: if it is not a model of this kind, or cut short.
    """
    try:
        items = _items(content)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"not a model of Marian: {error}") from error
    weights: dict[str, Matrix] = {}
    described = ""
    for item in items:
        data = content[item.start : item.start + item.size]
        if len(data) < item.size:
            raise ValueError(f"the model file ends within {item.name}")
        if item.name == "special:model.yml":
            described = data.rstrip(b"\0").decode(errors="replace")
        elif "QuantMultA" not in item.name:
            weights[item.name] = _matrix(data, item)
    return weights, described


def _items(content: bytes) -> list[_Item]:
    """Return the contents page: four tables one after the other, then the bytes of all items."""
    version, count = struct.unpack_from("<QQ", content)
    if version != 1 or not 0 < count < _MOST_ITEMS:
        raise ValueError(f"a model file of version {version}, not 1")
    heads = [struct.unpack_from("<QQQQ", content, 16 + 32 * at) for at in range(count)]
    at = 16 + 32 * count
    names: list[str] = []
    for length, *_ in heads:
        names.append(content[at : at + length - 1].decode())
        at += length
    shapes: list[tuple[int, ...]] = []
    for _, _, dimensions, _ in heads:
        shapes.append(struct.unpack_from(f"<{dimensions}i", content, at))
        at += 4 * dimensions
    at += 8 + struct.unpack_from("<Q", content, at)[0]
    items: list[_Item] = []
    for (_, kind, _, size), name, shape in zip(heads, names, shapes, strict=True):
        items.append(_Item(name, kind, shape, at, size))
        at += size
    return items


def _matrix(data: bytes, item: _Item) -> Matrix:
    size = int(np.prod(item.shape))
    if item.kind == _FLOAT:
        return np.frombuffer(data, np.float32, size).reshape(item.shape)
    if item.kind != _INT8:
        raise ValueError(f"{item.name} is of type {item.kind:#x}, which only other machines read")
    factor = struct.unpack_from("<f", data, size)[0]
    numbers = np.frombuffer(data, np.int8, size).astype(np.float32) / np.float32(factor)
    # Embeddings lie as they are; all else lies transposed, as the integer product wants it.
    is_plain = item.name.endswith("Wemb")
    return numbers.reshape(item.shape) if is_plain else numbers.reshape(item.shape[::-1]).T


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The words that may translate each word of the source, and the frequent words."""

    frequent: int
    offsets: NDArray[np.uint64]
    words: NDArray[np.uint32]

    @classmethod
    def read(cls, content: bytes) -> Shortlist:
        """Read a binary shortlist. Raises `ValueError` if it is none, or is cut short."""
        if len(content) < 48:
            raise ValueError("the shortlist is empty")
        magic, _, frequent, _, offsets, words = struct.unpack_from("<6Q", content)
        if magic != _SHORTLIST_MAGIC or len(content) < 48 + 8 * offsets + 4 * words:
            raise ValueError("not a whole shortlist")
        return cls(
            frequent,
            np.frombuffer(content, np.uint64, offsets, 48),
            np.frombuffer(content, np.uint32, words, 48 + 8 * offsets),
        )

    def allowed(self, source: Sequence[int]) -> Ids:
        """Return the target words to score for a sentence, ascending, each once."""
        lists = [
            self.words[int(self.offsets[word]) : int(self.offsets[word + 1])]
            for word in set(source)
            if word + 1 < self.offsets.size
        ]
        every = np.unique(np.concatenate([np.arange(self.frequent), *lists])).astype(np.intp)
        return every[every != _UNKNOWN]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A translation in progress: its words, and the sum of their log probabilities."""

    words: tuple[int, ...]
    score: float

    @property
    def mean(self) -> float:
        """Score per word, by which translations of different lengths compare."""
        return self.score / len(self.words)


class Student:
    """One direction of translation; sentences in and out are ids of words, without the end."""

    def __init__(self, weights: Mapping[str, Matrix], described: str, shortlist: Shortlist) -> None:
        """Prepare the matrices.

        Raises:
            ValueError: if the model is built otherwise.
        """
        self._weights = weights
        self._shortlist = shortlist
        settings = dict(re.findall(r"^([\w-]+):\s*\"?([\w.]*)\"?\s*$", described, re.MULTILINE))
        wanted = {
            "type": "transformer",
            "dec-cell": "ssru",
            "transformer-decoder-autoreg": "rnn",
            "transformer-preprocess": "",
            "transformer-postprocess": "dan",
            "transformer-ffn-activation": "relu",
        }
        other = [name for name, value in wanted.items() if settings.get(name) != value]
        if other:
            raise ValueError(
                f"its {other[0]} is {settings.get(other[0])!r}, not {wanted[other[0]]!r}"
            )
        self._heads = int(settings["transformer-heads"])
        self._depths = int(settings["enc-depth"]), int(settings["dec-depth"])
        own = "Wemb" not in weights
        self._source = weights["encoder_Wemb" if own else "Wemb"]
        self._target = weights["decoder_Wemb" if own else "Wemb"]
        self._positions = _positions(self._source.shape[1])

    def translate(self, source: Sequence[int], beams: int, longest: int) -> list[Hypothesis]:
        """Return at most `beams` translations, the likeliest first.

        Args:
            source: the sentence.
            beams: translations searched at once.
            longest: words of a translation; what has not ended by then ends there.
        """
        context = self._encode([*source, END])
        allowed = self._shortlist.allowed([*source, END])
        output = self._target[allowed], self._weights["decoder_ff_logit_out_b"][0, allowed]
        alive = [Hypothesis((), 0.0)]
        cells = [np.zeros((1, self._target.shape[1]), np.float32) for _ in range(self._depths[1])]
        finished: list[Hypothesis] = []
        while alive:
            step = len(alive[0].words)
            state = self._embed([each.words[-1:] for each in alive], step)
            for layer, keys in enumerate(context):
                state, cells[layer] = self._write(state, cells[layer], layer + 1, keys)
            scores = _log_softmax(state @ output[0].T + output[1])
            total = scores + np.array([[each.score] for each in alive], np.float32)
            best = np.argsort(-total, axis=None, kind="stable")[: beams - len(finished)]
            following: list[Hypothesis] = []
            parents: list[int] = []
            for place in best:
                parent, word = divmod(int(place), allowed.size)
                token = int(allowed[word])
                each = Hypothesis((*alive[parent].words, token), float(total[parent, word]))
                if token == END or len(each.words) >= longest:
                    finished.append(each)
                else:
                    following.append(each)
                    parents.append(parent)
            alive, cells = following, [cell[parents] for cell in cells]
        return sorted(finished, key=lambda each: -each.mean)

    def _embed(self, words: Sequence[Sequence[int]], position: int) -> Matrix:
        """Return the vectors of the words written last; of none, at the beginning."""
        rows = np.zeros((len(words), self._target.shape[1]), np.float32)
        if position:
            rows += self._target[[each[0] for each in words]] * np.sqrt(np.float32(rows.shape[1]))
        return rows + self._positions[min(position, _LONGEST_POSITION - 1)]

    def _encode(self, source: Sequence[int]) -> list[tuple[Matrix, Matrix]]:
        """Read a sentence; return the keys and values for each layer that writes."""
        state = self._source[list(source)] * np.sqrt(np.float32(self._source.shape[1]))
        state = state + self._positions[: len(source)]
        for layer in range(1, self._depths[0] + 1):
            name = f"encoder_l{layer}_self"
            keys, values = self._project(state, name, "k"), self._project(state, name, "v")
            state = self._attend(state, name, (keys, values))
            state = self._feed(state, f"encoder_l{layer}_ffn")
        found: list[tuple[Matrix, Matrix]] = []
        for layer in range(1, self._depths[1] + 1):
            name = f"decoder_l{layer}_context"
            found.append((self._project(state, name, "k"), self._project(state, name, "v")))
        return found

    def _write(
        self, state: Matrix, cell: Matrix, layer: int, context: tuple[Matrix, Matrix]
    ) -> tuple[Matrix, Matrix]:
        """Return one layer's output for the next words, and its cell after them."""
        name, weights = f"decoder_l{layer}_rnn", self._weights
        # The logistic function, held where it does not overflow.
        opened = state @ weights[f"{name}_Wf"] + weights[f"{name}_bf"]
        gate: Matrix = np.reciprocal(1 + np.exp(-np.maximum(opened, -80)))
        fresh = state @ weights[f"{name}_W"]
        cell = np.add(fresh, gate * (cell - fresh))
        state = self._norm(state + np.maximum(cell, 0), f"{name}_ffn")
        state = self._attend(state, f"decoder_l{layer}_context", context)
        return self._feed(state, f"decoder_l{layer}_ffn"), cell

    def _project(self, state: Matrix, name: str, kind: str) -> Matrix:
        return state @ self._weights[f"{name}_W{kind}"] + self._weights[f"{name}_b{kind}"]

    def _attend(self, state: Matrix, name: str, context: tuple[Matrix, Matrix]) -> Matrix:
        def parted(matrix: Matrix) -> Matrix:
            return matrix.reshape(len(matrix), self._heads, -1).transpose(1, 0, 2)

        queries = parted(self._project(state, name, "q"))
        keys, values = parted(context[0]), parted(context[1])
        scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(np.float32(keys.shape[2]))
        heard = np.exp(_log_softmax(scores)) @ values
        joined = heard.transpose(1, 0, 2).reshape(state.shape)
        return self._norm(state + self._project(joined, name, "o"), f"{name}_Wo")

    def _feed(self, state: Matrix, name: str) -> Matrix:
        weights = self._weights
        inner = np.maximum(state @ weights[f"{name}_W1"] + weights[f"{name}_b1"], 0)
        return self._norm(
            state + inner @ weights[f"{name}_W2"] + weights[f"{name}_b2"], f"{name}_ffn"
        )

    def _norm(self, state: Matrix, name: str) -> Matrix:
        centred = state - state.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _NORM_EPSILON)
        scale, bias = self._weights[f"{name}_ln_scale"], self._weights[f"{name}_ln_bias"]
        return centred / deviation * scale + bias


def _log_softmax(scores: Matrix) -> Matrix:
    centred = scores - scores.max(axis=-1, keepdims=True)
    return centred - np.log(np.exp(centred).sum(axis=-1, keepdims=True))


def _positions(width: int) -> Matrix:
    """Return a vector for each position: sines, then cosines, as Marian has them."""
    half = width // 2
    rates = np.exp(np.arange(half) * -(np.log(10000.0) / (half - 1)))
    angles = np.arange(_LONGEST_POSITION)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
