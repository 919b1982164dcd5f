"""Parts of an ONNX model that are run alone: a graph cut down to what one of its values needs.

An ONNX file is a Protocol Buffers message; its few fields that matter here are read and written by
their numbers in onnx.proto, so that no further package is needed to cut a graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_GRAPH = 7
"""Number of the graph in the message of a model."""
_NODE, _INITIALIZER, _OUTPUT, _VALUE_INFO = 1, 5, 12, 13
"""Numbers of the parts of a graph."""
_TENSOR_NAME, _ATTRIBUTE, _SUBGRAPHS = 8, 5, (6, 11)
_BYTES = 2
"""Wire type of a field that is told with its length."""
_FIXED = {1: 8, 5: 4}
"""Wire type -> the bytes of a field of fixed length."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its operator, the names of its inputs and outputs, and its message.

    `inputs` includes what graphs inside it (of ``If`` and ``Loop``) take from outside.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: memoryview


@dataclass(slots=True)
class OnnxGraph:
    """Nodes and weights of a model in memory.

    Attributes:
        nodes: in the order of the file, which is one in which they can be computed.
        weights: name -> message of each constant.
    """

    nodes: list[Node] = field(default_factory=list[Node])
    weights: dict[str, memoryview] = field(default_factory=dict[str, memoryview])
    _rest: list[bytes] = field(default_factory=list[bytes])
    _graph_rest: list[bytes] = field(default_factory=list[bytes])

    @classmethod
    def parse(cls, model: bytes) -> OnnxGraph:
        """Read the model file's bytes. Raises `ValueError` if they are none."""
        read = cls()
        try:
            for number, value in _fields(memoryview(model)):
                if number == _GRAPH:
                    read._take(value)
                else:
                    read._rest.append(_told(number, value))
        except (IndexError, KeyError, UnicodeDecodeError) as error:
            raise ValueError(f"not an ONNX model: {error}") from error
        if not read.nodes:
            raise ValueError("not an ONNX model: it computes nothing")
        return read

    def _take(self, graph: memoryview | int) -> None:
        for number, value in _fields(graph):
            if number == _NODE:
                self.nodes.append(_node(value))
            elif number == _INITIALIZER:
                self.weights[_text(value, _TENSOR_NAME)[0]] = _view(value)
            elif number not in (_OUTPUT, _VALUE_INFO):
                self._graph_rest.append(_told(number, value))

    def cut(self, output: str) -> bytes:
        """Return a model with the same inputs that computes the value `output`, and only that."""
        makers = {name: node for node in self.nodes for name in node.outputs}
        needed, open_ends = set[str](), [output]
        while open_ends:
            name = open_ends.pop()
            if name not in needed:
                needed.add(name)
                open_ends += makers[name].inputs if name in makers else ()
        kept = (node.message for node in self.nodes if not needed.isdisjoint(node.outputs))
        weights = (message for name, message in self.weights.items() if name in needed)
        graph = [_told(_NODE, node) for node in kept]
        graph += [_told(_INITIALIZER, weight) for weight in weights]
        graph += [*self._graph_rest, _told(_OUTPUT, _told(1, output.encode()))]
        return b"".join([*self._rest, _told(_GRAPH, b"".join(graph))])


def _node(message: memoryview | int) -> Node:
    inputs, outputs, operator = _text(message, 1), _text(message, 2), _text(message, 4)
    inner = [
        name
        for number, attribute in _fields(message)
        if number == _ATTRIBUTE
        for part, graph in _fields(attribute)
        if part in _SUBGRAPHS
        for field_number, node in _fields(graph)
        if field_number == _NODE
        for name in _node(node).inputs
    ]
    return Node(operator[0], (*inputs, *inner), tuple(outputs), _view(message))


def _text(message: memoryview | int, wanted: int) -> list[str]:
    return [str(value, "utf-8") for number, value in _fields(message) if number == wanted]  # type: ignore[arg-type]


def _view(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise KeyError("a number stands where a message is expected")
    return value


def _fields(message: memoryview | int) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of every field of a message."""
    message, at = _view(message), 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size = _FIXED.get(wire)
        if size is None:
            if wire != _BYTES:
                raise KeyError(f"wire type {wire}")
            size, at = _varint(message, at)
        if at + size > len(message):
            raise IndexError("it ends early")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _told(number: int, value: memoryview | bytes | int) -> bytes:
    """Return a field as it stands in a message: bytes with their length, or a number."""
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    return _number(number << 3 | _BYTES) + _number(len(value)) + bytes(value)


def _number(value: int) -> bytes:
    digits = list[int]()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def follow(nodes: Iterable[Node], name: str, through: frozenset[str]) -> Iterator[Node]:
    """Yield the nodes that take a value, be it through operators that only pass it on."""
    for node in (each for each in nodes if name in each.inputs):
        if node.operator in through:
            yield from follow(nodes, node.outputs[0], through)
        else:
            yield node
