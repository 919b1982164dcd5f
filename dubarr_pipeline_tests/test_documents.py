"""The pages for people: every name on them is in the project; words and decisions are in order."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from dubarr_pipeline.cli.main import main
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.engines.registry import own_engines
from dubarr_pipeline_tests.fixtures.documented_names import ROOT, commands, wrong_names


def test_decisions_are_numbered_without_gap_or_double() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page.name


def test_every_word_has_one_row_in_the_glossary() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.M)
    words = Counter(word.strip(" *") for row in rows[2:] for word in re.split(r"[/,]", row))
    assert len(words) > 60
    assert [word for word, times in words.items() if times > 1] == []


def test_every_folder_says_what_is_in_it() -> None:
    package = ROOT / "dubarr_pipeline"
    rooms = {path.stem for path in package.rglob("*") if path.is_dir() or path.suffix == ".py"}
    known = {"dubarr", *rooms, *(row.name for row in own_engines())}
    for page in package.rglob("__init__.py"):
        docstring = ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or ""
        assert docstring, page
        assert set(re.findall(r"(?<!`)`([a-z_]+)`", docstring)) <= known, page


PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "GLOSSARY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_on_a_page_is_in_the_project(page: Path) -> None:
    assert wrong_names(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "`timeline/verdicts.py`",
        "`docs/nowhere.md`",
        "`dubarr_pipeline/nowhere/`",
        "`nowhere_{lang}.ac3`",
        "`dubarr_pipeline.nowhere`",
        "`files.nowhere`",
        "`python -m dubarr_pipeline.nowhere`",
        "`dubarr nowhere`",
        "`dubarr library nowhere`",
        "`dubarr dub Film.mkv --nowhere es`",
        "`dubarr plan [VIDEO...] [--force]`",
        "`--nowhere`",
        "`benchmarks/pool.py --nowhere`",
        "`make nowhere`",
        "```sh\n.venv/bin/dubarr status --nowhere   # a comment\n```",
        "```sh\nmake nowhere\n```",
        "`[mix] nowhere`",
        "`[nowhere]`",
        "`mix.nowhere = 3`",
        "`DUBARR_NOWHERE`",
        "`no_such_check`",
        "`NoSuchClass`",
        "[a link](nowhere.md)",
        "[a link](GLOSSARY.md#nowhere)",
    ],
)
def test_a_wrong_name_is_seen(wrong: str) -> None:
    assert (
        len(wrong_names(ROOT / "README.md", f"Some {wrong} here.".replace("e ```", "e\n```"))) == 1
    )


@pytest.mark.parametrize(
    "right",
    [
        "`timing/verdicts.py`",
        "`dubarr_pipeline/definitions.py`",
        "`final_{lang}_{index}.wav`",
        "`files.whole_file`",
        "`dubarr_pipeline.timing.verdicts`",
        "`python -m pytest`",
        "`dubarr plan [VIDEO...] [--to es,fr]`",
        '`mux.container = "mka"`',
        "`[mux] container`",
        "`[libraries.NAME.publish]`",
        "`$DUBARR_CONFIG`",
        "`Film.en.srt`",
        "[a link](docs/webserver.md#tokens)",
    ],
)
def test_a_right_name_is_no_fault(right: str) -> None:
    assert wrong_names(ROOT / "README.md", f"Some {right} here.") == []


EVERYWHERE = {"--help", "--version", "--work-dir", "--config"}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_on_the_page_of_commands_with_its_options(name: str) -> None:
    if any(other.startswith(f"{name} ") for other in commands()):
        return
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `{name}\b(?! [a-z]).*$", page, re.M)
    assert len(rows) == 1
    assert set(re.findall(r"--[a-z][a-z-]*", rows[0])) == commands()[name] - EVERYWHERE


def test_the_page_of_commands_has_the_exit_codes_of_the_help() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    help_text = CliRunner().invoke(main, ["dub", "--help"]).output
    codes = re.findall(r"^\| (\d+) \|", page, re.M)
    assert codes == re.findall(r"^ +(\d+)  ", help_text, re.M)


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_rooms_on_the_page_stand_on_the_floors_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    blocks = re.findall(r"  subgraph floor(\d+)\[.*?\]\n(.*?)  end\n", ARCHITECTURE, re.S)
    assert [int(number) for number, _ in blocks] == list(range(1, len(layers) + 1))
    drawn = [set(re.findall(r"^    (\w+)\[\"<b>\1</b>", block, re.M)) for _, block in blocks]
    assert drawn == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_the_arrows_between_stages_are_those_of_the_table() -> None:
    block = ARCHITECTURE.partition("flowchart LR")[2].partition("```")[0]
    drawn = set(re.findall(r"(\w+)(?:\[[^]]*\])? --> (\w+)", block))
    inputs = {stage.name: set(stage.inputs) for stage in STAGES}
    # An input that another input reads already is not drawn.
    direct = {
        (name, stage)
        for stage, names in inputs.items()
        for name in names
        if not any(name in inputs[other] for other in names)
    }
    assert drawn == direct


def test_the_files_of_the_stages_are_the_same_on_both_pages() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", readme, re.M))
    assert list(rows) == [stage.name for stage in STAGES]
    boxes = dict(re.findall(r"(\w+)\[\"\1<br/>(.*?)\"\]", ARCHITECTURE))
    assert {n: re.findall(r"`(.+?)`", row) for n, row in rows.items()} == {
        name: box.split("<br/>") for name, box in boxes.items()
    }


def test_the_types_in_the_life_of_a_line_are_where_the_page_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+\.py)` \|", ARCHITECTURE, re.M)
    assert len(rows) > 10
    for name, module in rows:
        text = (ROOT / "dubarr_pipeline" / module).read_text(encoding="utf-8")
        assert re.search(rf"^class {name}\b", text, re.M), name
