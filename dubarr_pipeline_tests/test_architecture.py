"""The floors of the house, and what may stand on which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import dubarr_pipeline

PACKAGE = Path(dubarr_pipeline.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

WITH_DAGSTER = {"api", "definitions.py", "defs"}
"""The floors on which Dagster may be known: all others could dub without it."""

HEAVY = {
    "TTS",
    "chatterbox",
    "ctranslate2",
    "demucs",
    "espeakng_loader",
    "faster_whisper",
    "nemo",
    "onnxruntime",
    "pyannote",
    "speechbrain",
    "tensorflow",
    "torch",
    "torchaudio",
    "transformers",
    "vllm",
    "whisper",
    "whisperx",
}
"""Model libraries: each is imported in the `load()` of the engine that needs it, nowhere else."""

NOT_FOR_HELP = ("dagster", "numpy", "scipy", "torch", "pydantic", "onnxruntime")


def imported(source: str, at_top: bool = False) -> set[str]:
    """The first names of all that a module imports; `at_top`: only when it is imported itself."""
    found: set[str] = set()
    for node in _nodes(ast.parse(source), at_top):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _nodes(tree: ast.AST, at_top: bool) -> Iterator[ast.AST]:
    """All nodes that matter; those for type checkers alone never do."""
    for node in ast.iter_child_nodes(tree):
        yield node
        for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        later = at_top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not for_types and not later:
            yield from _nodes(node, at_top)


SAMPLE = """
from typing import TYPE_CHECKING
import numpy as np, torch.cuda
if TYPE_CHECKING:
    import dagster
try:
    from onnxruntime import InferenceSession
except ImportError:
    pass
class Engine:
    import vllm
    def load(self):
        from faster_whisper import WhisperModel
"""


def test_the_reader_of_imports_sees_what_is_imported_when():
    top = {"typing", "numpy", "torch", "onnxruntime", "vllm"}
    assert imported(SAMPLE, at_top=True) == top
    assert imported(SAMPLE) == top | {"faster_whisper"}


@pytest.mark.slow
def test_imports_go_down_only():
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


_IMPORT = re.compile(r"^\s*from (dubarr_pipeline[\w.]*) import ([\w, ]+)$", re.M)


def wrong_imports(source: str) -> list[str]:
    """Imports of ours inside a module's strings (scripts for other processes) that would fail."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [
        match[0].strip()
        for text in texts
        for match in _IMPORT.finditer(text)
        if not all(_can_import(match[1], name.split()[0]) for name in match[2].split(","))
    ]


def _can_import(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name) or bool(find_spec(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


def test_scripts_for_other_processes_import_what_is_there():
    written = 'SCRIPT = """\nfrom dubarr_pipeline.spans import Span, Spam\n"""'
    assert wrong_imports(written) == ["from dubarr_pipeline.spans import Span, Spam"]
    assert wrong_imports(written.replace(", Spam", "")) == []
    folders = (PACKAGE, ROOT / "dubarr_pipeline_tests", ROOT / "benchmarks")
    wrong = {
        str(module.relative_to(ROOT)): names
        for folder in folders
        for module in sorted(folder.rglob("*.py"))
        if module != Path(__file__)
        if (names := wrong_imports(module.read_text(encoding="utf-8")))
    }
    assert not wrong


def test_dagster_is_known_upstairs_only():
    knowing = {
        module.relative_to(PACKAGE).parts[0]
        for module in MODULES
        if {"dagster", "dagster_shared"} & imported(module.read_text(encoding="utf-8"))
    }
    assert knowing <= WITH_DAGSTER
    assert {"defs", "definitions.py"} <= knowing


def test_model_libraries_are_imported_where_they_are_loaded():
    hasty = {
        str(module.relative_to(ROOT)): heavy
        for module in MODULES
        if (heavy := HEAVY & imported(module.read_text(encoding="utf-8"), at_top=True))
    }
    assert not hasty


@pytest.mark.parametrize(
    "code",
    [
        "import dubarr_pipeline",
        "import dubarr_pipeline.cli.main",
        "from dubarr_pipeline.cli.main import main; main(['--help'], standalone_mode=False)",
        "from dubarr_pipeline.cli.main import main; main(['dub', '--help'], standalone_mode=False)",
    ],
)
def test_help_costs_nothing(code: str):
    said = f"{code}\nimport sys\nprint('MODULES', *sys.modules)"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in found.stdout.partition("MODULES")[2].split()}
    assert "dubarr_pipeline" in loaded
    assert loaded.isdisjoint(NOT_FOR_HELP)


def test_files_and_functions_are_read_without_scrolling_far():
    long_files = {
        str(module.relative_to(ROOT)): lines
        for module in MODULES
        if (lines := len(module.read_text(encoding="utf-8").splitlines())) > 400
    }
    long_functions = [
        f"{module.relative_to(ROOT)}: {node.name}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert not long_files
    assert not long_functions
