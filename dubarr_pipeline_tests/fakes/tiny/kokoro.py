"""A tiny Kokoro: hums as long as its duration table says, through a graph of the real layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from onnx import helper

from dubarr_pipeline_tests.fakes.tiny.onnx_graphs import FLOAT, INT64, write

# Phonemes: they look like letters, and are none.
_SIGNS = ';:,.!?—…"() “”ˈˌːabdefhijklmnoprstuvwxzæçðøŋœɐɑɔəɛɜɡɣɪɲɹɾʁʃʊʌʎʒʤʧʦβθAIOWYTᵊQ'  # noqa: RUF001
VOCABULARY = {sign: number for number, sign in enumerate((*_SIGNS, "\u0303"), 1)}
VOICES = {"af_heart": 195.0, "bm_george": 110.0, "ef_dora": 190.0, "em_alex": 105.0}
"""Voice -> its pitch in Hz."""
Layout = Literal["hub", "release"]


def build(
    folder: Path,
    layout: Layout = "hub",
    pace: float = 1.0,
    voices: Mapping[str, float] | None = None,
) -> Path:
    """Write a model: as the hub lays it out, or as the releases of kokoro-onnx do.

    `pace` 1 is that of a slow reader; `voices` are more than those in `VOICES`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    styles = {name: _style(hertz) for name, hertz in {**VOICES, **(voices or {})}.items()}
    if layout == "hub":
        (folder / "voices").mkdir()
        write_network(folder / "onnx" / "model_quantized.onnx", "input_ids", "waveform", 2, pace)
        for name, style in styles.items():
            style.tofile(folder / "voices" / f"{name}.bin")
        (folder / "config.json").write_text('{"model_type": "style_text_to_speech_2"}')
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": VOCABULARY}}))
    else:
        write_network(folder / "kokoro-v1.0.int8.onnx", "tokens", "audio", 1, pace)
        with (folder / "voices-v1.0.bin").open("wb") as archive:
            tables: dict[str, Any] = {n: s.reshape(-1, 1, 256) for n, s in styles.items()}
            np.savez(archive, **tables)
        (folder / "config.json").write_text(json.dumps({"vocab": VOCABULARY}))
    return folder


def _style(hertz: float) -> np.ndarray:
    style = np.zeros((510, 256), np.float32)
    style[:, 0] = hertz
    return style


def write_network(path: Path, tokens: str, output: str, rank: int, pace: float) -> None:
    """Frames from a table by token, divided by the speed; a hum for all but the silent edges."""
    frames = np.random.default_rng(0).uniform(2, 5, 200).astype(np.float32) / pace
    frames[0] = 10.0
    frames[[VOCABULARY["."], VOCABULARY[","], VOCABULARY["?"], VOCABULARY["!"]]] = 6.0
    constants = {
        "table": frames,
        "least": np.float32(1),
        "last": np.array([1], np.int64),
        "zero": np.int64(0),
        "first": np.array([0], np.int64),
        "frame": np.float32(600),
        "step": np.float32(2 * np.pi / 24000),
        "loud": np.float32(0.3),
        "from": np.float32(0.89),
        "tail": np.float32(0.86),
        "third": np.array([-3], np.int64),
        "end": np.array([2**31], np.int64),
        "nought": np.float32(0),
        "one": np.float32(1),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", tokens], ["frames"]),
        node("Div", ["frames", "speed"], ["fast"]),
        node("Round", ["fast"], ["rounded"]),
        node("Clip", ["rounded", "least"], ["lasting"]),
        node("ReduceSum", ["lasting"], ["total"], keepdims=0),
        node("Mul", ["total", "frame"], ["samples"]),
        node("Range", ["nought", "samples", "one"], ["time"]),
        node("Slice", ["lasting", "first", "last", "last"], ["head"]),
        node("ReduceSum", ["head"], ["silent"], keepdims=0),
        node("Mul", ["silent", "from"], ["scaled"]),
        node("Mul", ["scaled", "frame"], ["start"]),
        node("Slice", ["lasting", "third", "end", "last"], ["rear"]),
        node("ReduceSum", ["rear"], ["closing"], keepdims=0),
        node("Mul", ["closing", "tail"], ["behind"]),
        node("Sub", ["total", "behind"], ["voiced"]),
        node("Mul", ["voiced", "frame"], ["stop"]),
        node("GreaterOrEqual", ["time", "start"], ["begun"]),
        node("Less", ["time", "stop"], ["going"]),
        node("And", ["begun", "going"], ["on"]),
        node("Gather", ["style", "zero"], ["pitches"], axis=1),
        node("Mul", ["pitches", "step"], ["turn"]),
        node("Mul", ["time", "turn"], ["phase"]),
        node("Sin", ["phase"], ["wave"]),
        node("Mul", ["wave", "loud"], ["hum"]),
        node("Where", ["on", "hum", "nought"], ["flat" if rank == 2 else output]),
    ]
    if rank == 2:
        nodes.append(node("Unsqueeze", ["flat", "first"], [output]))
    given = {tokens: (INT64, [1, "n"]), "style": (FLOAT, [1, 256]), "speed": (FLOAT, [1])}
    write(path, nodes, given, output, constants)
