"""A tiny speaker embedding of the real layout: how much each band of a stretch moves."""

from pathlib import Path

import numpy as np
from onnx import helper

from dubarr_pipeline_tests.fakes.tiny.onnx_graphs import FLOAT, write


def build(folder: Path) -> Path:
    """Write the model's folder."""
    node = helper.make_node
    write(
        folder / "voiceprints.onnx",
        [
            node("Mul", ["x", "x"], ["squares"]),
            node("ReduceMean", ["squares"], ["moves"], axes=[1], keepdims=0),
            # Loud and quiet bands cancel out, so that prints point in all directions.
            node("ReduceMean", ["moves"], ["usual"], axes=[1], keepdims=1),
            node("Sub", ["moves", "usual"], ["embedding"]),
        ],
        {"x": (FLOAT, ["N", "T", 80])},
        "embedding",
        {"unused": np.float32(0)},
    )
    return folder
