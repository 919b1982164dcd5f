"""Fingerprints and line keys are promises to finished films: pinned here as literals.

A literal may change only together with a raised `code_version` (of the stage, or of the lines), or
with an engine's version in its identity, and then the changelog says that films are dubbed once
more. Another default needs a raised version as well: what stands at its default is left out of the
facts. Versions of packages, model files and dictionaries are held fixed below.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import make_dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from dubarr_pipeline.config import engine_answers
from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.config.settings import ENGINE_SECTIONS, OPTION_TYPES, parse_settings
from dubarr_pipeline.defs.assets import segments
from dubarr_pipeline.defs.runtime import stage_run
from dubarr_pipeline.defs.runtime.stage_run import StageContext, required
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.engines.synthesis import espeak
from dubarr_pipeline.engines.translation.apertium import ApertiumTranslator
from dubarr_pipeline.engines.voice_activity import silero
from dubarr_pipeline.library.source import Source
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitles.sources import SubtitleSource
from dubarr_pipeline.progress import ignore_progress
from dubarr_pipeline.segments.tasks import line_tasks
from dubarr_pipeline.timing.tempo import TempoLimits
from dubarr_pipeline.workdir.checkpoints import Record
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline_tests.cli.test_plan import planned, redone
from dubarr_pipeline_tests.fixtures.bench import Bench
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

GOLDEN = {
    "vocals": "d464384d3856fb7cd37cd17ca78cabb1",
    "diarization": "7f2b388c28faca38c30883402f7ea4a6",
    "transcript": "3e38cfddaf6b8c10d18aabf82188001c",
    "context": "ed21f59ff5fe15ad63fb2ccb9ba0357a",
    "refs": "63814fdbbcd55d9a504aa662a3131791",
    "segments": "eda079bba55f05c53a48c4e8b8948675",
    "mix": "c7708f00ccb9e1fa506b6c13fcb0380b",
    "mux": "4b8e7b9a81813d908651e72b0842211b",
    "report": "50367e30ca590916816c79b666bc38d8",
}
SECTIONS = {
    "audio": "vocals",
    "voice_activity": "vocals",
    "separation": "vocals",
    "diarization": "diarization",
    "transcript": "transcript",
    "context": "context",
    "refs": "refs",
    "segments": "segments",
    "mix": "mix",
    "mux": "mux",
}


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hold all fixed that a fingerprint takes from the machine."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"the model")
    monkeypatch.setattr(silero, "model_path", lambda: model)
    monkeypatch.setattr(espeak, "package_version", lambda _: "1.0")
    monkeypatch.setattr(ApertiumTranslator, "identity", lambda _: "apertium fixed")
    audio = Stream(1, "audio", "flac", "en", rate=48_000, channels=2)
    script = SubtitleSource("full", "embedded", tmp_path / "film.mkv", "srt", 3, "en")
    info = MediaInfo(tmp_path / "film.mkv", "matroska,webm", 1.0, 0.0, (audio,))
    source = Source(info, audio, script, "en")
    monkeypatch.setattr(stage_run, "inspect_source", lambda *_: source)
    monkeypatch.setattr(segments, "existing_digests", lambda *_: {})
    return tmp_path


def fingerprints(
    folder: Path, tables: dict[str, dict[str, Any]] | None = None, **shared: Any
) -> dict[str, str]:
    """The fingerprints of all stages of a made-up video, each from those of its inputs.

    `shared` is what the contexts of a plan share.
    """
    settings = parse_settings(tables or {}, folder / "work")
    identity = FileIdentity(1, 2, 3, 4, "0123abcd" * 8)
    video = Video("film-0123abcd", Path("/films/Film.mkv"), identity, ("es", "ca"), "lite")
    work = video.work(settings.work_dir)
    found: dict[str, str] = {}
    for stage in STAGES:
        inputs: Any = {n: SimpleNamespace(record=Record(found[n], "", "")) for n in stage.inputs}
        context = StageContext(stage, video, work, settings, ignore_progress, inputs, **shared)
        found[stage.name] = required(context).fingerprint
    return found


def test_the_fingerprints_of_all_stages_are_pinned(fixed: Path) -> None:
    assert fingerprints(fixed) == GOLDEN


def test_a_plan_looks_once_at_a_film_and_asks_each_engine_once(
    fixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    counted: list[tuple[ModuleType, str]] = [(stage_run, "inspect_source")]
    askers = ("engine", "engine_facts", "translator", "synthesizer")
    counted += [(engine_answers, name) for name in askers]
    for module, name in counted:
        real = getattr(module, name)

        def call(*a: Any, name: str = name, real: Any = real, **o: Any) -> Any:
            asked.append(name)
            return real(*a, **o)

        monkeypatch.setattr(module, name, call)
    answers: dict[object, Any] = {}
    for _ in range(3):
        assert fingerprints(fixed, asked=answers, seen={}) == GOLDEN
    expected = {"inspect_source": 3, "engine": 3, "engine_facts": 3}
    assert Counter(asked) == {**expected, "translator": 1, "synthesizer": 1}


def test_an_option_that_is_set_to_its_default_changes_nothing(fixed: Path) -> None:
    tables = {"mix": {"preset": "film"}, "transcript": {"lines": {"longest_s": 10}}}
    assert fingerprints(fixed, tables) == GOLDEN


def test_another_option_changes_its_stage_and_all_behind_it(fixed: Path) -> None:
    found = fingerprints(fixed, {"diarization": {"clusters": {"few": 7}}})
    changed = [stage for stage in GOLDEN if found[stage] != GOLDEN[stage]]
    assert changed == list(GOLDEN)[1:]


def options_of(section: str) -> Any:
    """The default options of a section."""
    settings = parse_settings({})
    kind = ENGINE_SECTIONS.get(section)
    return settings.engine_options[kind] if kind else getattr(settings, section)


def extended(section: str, monkeypatch: pytest.MonkeyPatch, **new: Any) -> None:
    """Give a section's options another class name, and new fields that stand at their default."""
    base = type(options_of(section))
    kind = make_dataclass(
        "Renamed",
        [(name, type(default), default) for name, default in new.items()],
        bases=(base,),
        frozen=True,
        namespace={"__module__": base.__module__},
    )
    for module in list(sys.modules.values()):
        if getattr(module, base.__name__, None) is base:
            monkeypatch.setattr(module, base.__name__, kind)
    if section in OPTION_TYPES:
        monkeypatch.setitem(cast("dict[str, type]", OPTION_TYPES), section, kind)
    assert type(options_of(section)) is kind


@pytest.mark.parametrize("section", SECTIONS)
def test_a_new_option_that_is_off_and_a_renamed_class_redo_nothing(
    section: str, fixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extended(section, monkeypatch, new_option=False, new_level=0.5)
    assert fingerprints(fixed) == GOLDEN
    stage = SECTIONS[section]
    assert fingerprints(fixed, {section: {"new_option": True}})[stage] != GOLDEN[stage]


def test_new_options_in_every_section_leave_the_plan_empty(
    dubbed: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for section in SECTIONS:
        extended(section, monkeypatch, new_option=False)
    assert redone(planned(dubbed)) == ()


KEYS = {
    "es 0": ("5ba5ce2335b39e1cbe8c1533", "d73b244b73dcf72bd7b23b17"),
    "ca 0": ("fef01feaae484791384aa3f2", "eb885678e895fe36af30ef43"),
    "es 1": ("85b2c978504bdc4efa301632", "f153e011e4e4262c83c16649"),
    "ca 1": ("570c772abf4e92fa89528fbf", "a9e50614f8412c8b82ff32f2"),
}


def keys(folder: Path, options: SegmentsOptions) -> dict[str, tuple[str, str]]:
    made = order(folder, transcript(2), options=options)
    return {f"{t.language} {t.index}": (t.draft_key, t.line_key) for t in line_tasks(made)}


def test_the_keys_of_lines_are_pinned(tmp_path: Path) -> None:
    assert keys(tmp_path, SegmentsOptions()) == KEYS


def test_a_new_tempo_limit_that_is_off_keeps_every_line(tmp_path: Path) -> None:
    kind = make_dataclass("Limits", [("new", bool, False)], bases=(TempoLimits,), frozen=True)
    assert keys(tmp_path, SegmentsOptions(tempo=kind())) == KEYS
    on = keys(tmp_path, SegmentsOptions(tempo=kind(new=True)))
    faster = keys(tmp_path, SegmentsOptions(tempo=TempoLimits(fastest=Fraction(13, 10))))
    for found in (on, faster):
        assert all(found[line][0] == KEYS[line][0] for line in KEYS)
        assert all(found[line][1] != KEYS[line][1] for line in KEYS)
