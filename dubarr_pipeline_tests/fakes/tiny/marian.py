"""Tiny models of Marian's kind, in the layout of Firefox's: each says one scripted sentence."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from dubarr_pipeline_tests.fakes.tiny.m2m100 import LINES, SAYS

WIDTH, HEADS, INNER = 64, 2, 64
DEPTHS = (2, 1)
DESCRIPTION = """dec-cell: ssru
dec-depth: {1}
enc-depth: {0}
transformer-decoder-autoreg: rnn
transformer-ffn-activation: relu
transformer-heads: {2}
transformer-postprocess: dan
transformer-preprocess: ""
type: transformer
"""
Matrices = Mapping[str, np.ndarray]


def build(folder: Path) -> Path:
    """Write ``en-es``, ``es-en``, ``en-fr`` and ``en-ca`` below a folder."""
    for pair in ("en-es", "es-en", "en-fr", "en-ca"):
        place = folder / pair
        place.mkdir(parents=True)
        short = pair.replace("-", "")
        ids = _spelling(place / f"vocab.{short}.spm.gz")
        weights = _scripted(ids, SAYS[pair.partition("-")[2]])
        write_model(place / f"model.{short}.intgemm.alphas.bin.gz", weights)
        write_shortlist(place / f"lex.50.50.{short}.s2t.bin.gz", len(ids))
    return folder


def write_model(path: Path, weights: Matrices, description: str = "") -> None:
    """Write matrices as Marian does: 8-bit ones transposed with a factor behind, others plain."""
    items: list[tuple[str, int, tuple[int, ...], bytes]] = []
    for name, matrix in sorted(weights.items()):
        if name.split("_")[-1][0] == "W":
            factor = np.float32(127 / max(np.abs(matrix).max(), 1e-6))
            laid = matrix if name.endswith("Wemb") else matrix.T
            numbers = np.round(laid * factor).astype(np.int8).tobytes()
            items.append((name, 0x4101, matrix.shape, numbers + struct.pack("<f", factor)))
            items.append((f"{name}_QuantMultA", 0x404, (1, 1), struct.pack("<f", factor)))
        else:
            items.append((name, 0x404, matrix.shape, matrix.astype(np.float32).tobytes()))
    text = (description or DESCRIPTION.format(*DEPTHS, HEADS)).encode() + b"\0"
    items.append(("special:model.yml", 0x101, (len(text),), text))
    padded = [(n, k, s, data + b"\0" * (-len(data) % 256)) for n, k, s, data in items]
    out = struct.pack("<QQ", 1, len(items))
    for name, kind, shape, data in padded:
        out += struct.pack("<QQQQ", len(name.encode()) + 1, kind, len(shape), len(data))
    out += b"".join(name.encode() + b"\0" for name, *_ in padded)
    out += b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, _, shape, _ in padded)
    gap = -(len(out) + 8) % 256
    out += struct.pack("<Q", gap) + b"\0" * gap + b"".join(data for *_, data in padded)
    path.write_bytes(gzip.compress(out) if path.suffix == ".gz" else out)


def write_shortlist(path: Path, size: int, frequent: int = 2) -> None:
    """Write a shortlist that allows every word for every word of the source."""
    offsets = np.arange(size + 1, dtype=np.uint64) * size
    words = np.tile(np.arange(size, dtype=np.uint32), size)
    head = struct.pack("<6Q", 0xF11A48D5013417F5, 0, frequent, size, offsets.size, words.size)
    content = head + offsets.tobytes() + words.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def random_weights(words: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the matrices of a student that was never trained."""
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    weights = {"Wemb": matrix(words, WIDTH), "decoder_ff_logit_out_b": matrix(1, words)}
    for side, depth, attention in (
        ("encoder", DEPTHS[0], "self"),
        ("decoder", DEPTHS[1], "context"),
    ):
        for layer in range(1, depth + 1):
            name = f"{side}_l{layer}"
            for kind in "qkvo":
                weights[f"{name}_{attention}_W{kind}"] = matrix(WIDTH, WIDTH)
                weights[f"{name}_{attention}_b{kind}"] = matrix(1, WIDTH)
            weights[f"{name}_ffn_W1"] = matrix(WIDTH, INNER)
            weights[f"{name}_ffn_b1"] = matrix(1, INNER)
            weights[f"{name}_ffn_W2"] = matrix(INNER, WIDTH)
            weights[f"{name}_ffn_b2"] = matrix(1, WIDTH)
            norms = [f"{name}_{attention}_Wo", f"{name}_ffn_ffn"]
            if side == "decoder":
                weights[f"{name}_rnn_W"] = matrix(WIDTH, WIDTH)
                weights[f"{name}_rnn_Wf"] = matrix(WIDTH, WIDTH)
                weights[f"{name}_rnn_bf"] = matrix(1, WIDTH)
                norms.append(f"{name}_rnn_ffn")
            for norm in norms:
                weights[f"{norm}_ln_scale"] = np.ones((1, WIDTH), np.float32)
                weights[f"{norm}_ln_bias"] = np.zeros((1, WIDTH), np.float32)
    return weights


def _spelling(path: Path) -> dict[str, int]:
    """Make a piece of every word of the sentences; return their ids: the end 0, the unknown 1."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in LINES for _ in range(20)]),
        model_writer=out,
        vocab_size=INNER - 4,
        model_type="word",
        hard_vocab_limit=False,
        character_coverage=1.0,
        bos_id=-1,
        eos_id=0,
        unk_id=1,
        minloglevel=2,
    )
    path.write_bytes(gzip.compress(out.getvalue()))
    processor = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    return {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}


def _scripted(ids: Mapping[str, int], says: str) -> dict[str, np.ndarray]:
    """A student whose next word follows from the last alone; it may stop before the last word."""
    weights = {name: np.zeros_like(each) for name, each in random_weights(len(ids)).items()}
    for name, each in weights.items():
        if name.endswith("ln_scale"):
            each[:] = 1
    table = np.random.default_rng(0).normal(0, 1, (len(ids), WIDTH)).astype(np.float32)
    table -= table.mean(axis=1, keepdims=True)
    table *= 12 / np.linalg.norm(table, axis=1, keepdims=True)
    weights["Wemb"] = table
    chain = [f"\u2581{word}" for word in says.split()]
    first, inner, outer = (weights[f"decoder_l1_ffn_{n}"] for n in ("b2", "W1", "W2"))
    # Nothing fires before the first word.
    first += table[ids[chain[0]]]
    for unit, (last, following) in enumerate(pairwise([*chain, "</s>"])):
        inner[:, unit] = table[ids[last]] / 12
        weights["decoder_l1_ffn_b1"][0, unit] = -0.5 * WIDTH**0.5
        outer[unit] = table[ids[following]] * 3
        if unit == len(chain) - 2:
            outer[unit] += table[ids["</s>"]] * 2.95
    return weights
