"""A tiny Supertonic: four networks of the real layout, which hum a while for each letter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import helper

from dubarr_pipeline_tests.fakes.tiny.onnx_graphs import FLOAT, INT64, write

RATE, CHUNK, COMPRESSED, WIDTH = 44100, 512, 6, 24
VOICES = {"F1": 200.0, "M1": 110.0, "M2": 95.0}
"""Voice -> its pitch in Hz."""
SECONDS_A_LETTER = 0.06
LATENT = COMPRESSED * WIDTH


def build(folder: Path) -> Path:
    """Write the model's folder."""
    onnx = folder / "onnx"
    letters = {"text_ids": (INT64, ["b", "n"]), "text_mask": (FLOAT, ["b", 1, "n"])}
    style = {"style_ttl": (FLOAT, ["b", 50, 256])}
    node = helper.make_node
    write(
        onnx / "duration_predictor.onnx",
        [
            node("ReduceSum", ["text_mask", "axes"], ["count"], keepdims=0),
            node("Mul", ["count", "letter"], ["all"]),
            node("ReduceMax", ["style_dp"], ["pace"], axes=[1, 2], keepdims=0),
            node("Mul", ["all", "pace"], ["duration"]),
        ],
        {**letters, "style_dp": (FLOAT, ["b", 8, 16])},
        "duration",
        {"axes": np.array([1, 2]), "letter": np.float32(SECONDS_A_LETTER)},
    )
    write(
        onnx / "text_encoder.onnx",
        [node("ReduceMax", ["style_ttl"], ["text_emb"], axes=[1, 2], keepdims=1)],
        {**letters, **style},
        "text_emb",
        {},
    )
    write(
        onnx / "vector_estimator.onnx",
        [
            # A sketch of the sound: each frame holds the pitch, and a trace of the noise.
            node("Mul", ["noisy_latent", "trace"], ["little"]),
            node("Add", ["little", "text_emb"], ["pitched"]),
            node("Mul", ["pitched", "latent_mask"], ["denoised"]),
        ],
        {
            "noisy_latent": (FLOAT, ["b", LATENT, "f"]),
            "text_emb": (FLOAT, ["b", 1, 1]),
            **style,
            "text_mask": letters["text_mask"],
            "latent_mask": (FLOAT, ["b", 1, "f"]),
            "current_step": (FLOAT, ["b"]),
            "total_step": (FLOAT, ["b"]),
        },
        "denoised",
        {"trace": np.float32(0.01)},
    )
    _write_vocoder(onnx / "vocoder.onnx")
    settings = {
        "ae": {"sample_rate": RATE, "base_chunk_size": CHUNK},
        "ttl": {"latent_dim": WIDTH, "chunk_compress_factor": COMPRESSED},
    }
    (onnx / "tts.json").write_text(json.dumps(settings))
    alphabet = [number if chr(number).isprintable() else -1 for number in range(1600)]
    (onnx / "unicode_indexer.json").write_text(json.dumps(alphabet))
    for name, hertz in VOICES.items():
        _write_style(folder / "voice_styles" / f"{name}.json", hertz)
    return folder


def _write_vocoder(path: Path) -> None:
    """Hum at the pitch that the first frame holds, as many samples as the frames stand for."""
    node = helper.make_node
    write(
        path,
        [
            node("Shape", ["latent"], ["size"], start=2),
            node("Cast", ["size"], ["frames"], to=FLOAT),
            node("Squeeze", ["frames"], ["count"]),
            node("Mul", ["count", "frame"], ["samples"]),
            node("Range", ["nought", "samples", "one"], ["time"]),
            node("ReduceMean", ["latent"], ["pitch"], axes=[0, 1, 2], keepdims=0),
            node("Mul", ["pitch", "turn"], ["step"]),
            node("Mul", ["time", "step"], ["phase"]),
            node("Sin", ["phase"], ["wave"]),
            node("Mul", ["wave", "loud"], ["hum"]),
            node("Unsqueeze", ["hum", "first"], ["wav_tts"]),
        ],
        {"latent": (FLOAT, ["b", LATENT, "f"])},
        "wav_tts",
        {
            "frame": np.float32(CHUNK * COMPRESSED),
            "nought": np.float32(0),
            "one": np.float32(1),
            "turn": np.float32(2 * np.pi / RATE),
            "loud": np.float32(0.3),
            "first": np.array([0]),
        },
    )


def _write_style(path: Path, hertz: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound, lengths = np.zeros((1, 50, 256)), np.zeros((1, 8, 16))
    sound[0, 0, 0], lengths[0, 0, 0] = hertz, 1.0
    tables = {"style_ttl": sound, "style_dp": lengths}
    document = {
        name: {"dims": list(table.shape), "data": table.tolist(), "type": "float32"}
        for name, table in tables.items()
    }
    path.write_text(json.dumps(document))
