"""Parts of ONNX models, cut out without the package that writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from dubarr_pipeline.models.onnx_graph import OnnxGraph, follow
from dubarr_pipeline_tests.fakes.tiny.onnx_graphs import FLOAT, write


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    """``y = relu(x * two + three)``, ``z = y ** two``, with a weight of 1 MB that only z takes."""
    node = helper.make_node
    nodes = [
        node("Mul", ["x", "two"], ["double"]),
        node("Add", ["double", "three"], ["sum"]),
        node("Relu", ["sum"], ["y"]),
        node("Pow", ["y", "two"], ["square"]),
        node("MatMul", ["square", "heavy"], ["z"]),
    ]
    constants = {
        "two": np.float32(2),
        "three": np.float32(3),
        "heavy": np.zeros((512, 512), np.float32),
    }
    write(tmp_path / "model.onnx", nodes, {"x": (FLOAT, [1, 512])}, "z", constants)
    return (tmp_path / "model.onnx").read_bytes()


def test_a_part_computes_what_the_whole_does_and_holds_nothing_else(model: bytes) -> None:
    part = OnnxGraph.parse(model).cut("y")
    assert len(part) < 2000 < len(model)
    x = np.linspace(-3, 3, 512, dtype=np.float32)[None]
    (y,) = InferenceSession(part).run(None, {"x": x})
    np.testing.assert_array_equal(y, np.maximum(x * 2 + 3, 0))


def test_the_whole_is_the_part_of_the_last_value(model: bytes) -> None:
    part = onnx.load_model_from_string(OnnxGraph.parse(model).cut("z"))
    assert list(part.graph.node) == list(onnx.load_model_from_string(model).graph.node)


def test_what_a_graph_inside_takes_from_outside_is_kept() -> None:
    def branch(operator: str) -> onnx.GraphProto:
        node = helper.make_node(operator, ["x", "outer"], ["out"])
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        return helper.make_graph([node], operator, [], [out])

    nodes = [
        helper.make_node("Add", ["one", "one"], ["outer"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Add"), else_branch=branch("Sub")),
    ]
    graph = helper.make_graph(
        nodes,
        "branches",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(1, np.float32), "one")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    part = InferenceSession(OnnxGraph.parse(made.SerializeToString()).cut("y"))
    (y,) = part.run(None, {"x": np.array(5, np.float32), "c": np.array(False)})
    assert y == 3


def test_a_value_is_followed_through_what_passes_it_on(model: bytes) -> None:
    nodes = OnnxGraph.parse(model).nodes
    assert [node.operator for node in follow(nodes, "double", frozenset())] == ["Add"]
    assert [node.operator for node in follow(nodes, "double", frozenset({"Add"}))] == ["Relu"]


@pytest.mark.parametrize("damaged", [b"", b"<html>", b"\x3a\xff\xff\x03ab", b"\xff" * 40])
def test_other_bytes_are_no_model(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not an ONNX model"):
        OnnxGraph.parse(damaged)


def test_a_file_that_ends_early_is_no_model(model: bytes) -> None:
    for size in (10, 100, len(model) // 2, len(model) - 1):
        with pytest.raises(ValueError, match="not an ONNX model"):
            OnnxGraph.parse(model[:size])
