"""Every check of mix and mux passes on a good result, and goes red on the fault that it is for."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from dubarr_pipeline.defs.assets import checks
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.files import write_json
from dubarr_pipeline.media.mix.options import MixOptions
from dubarr_pipeline.media.mux.options import MuxOptions

STAGE = {stage.name: stage for stage in STAGES}
LINE = {"start": 48000, "samples": 48000, "dub_lufs": -25.0, "lost_samples": 0}
REPORT = {
    "rate": 48000,
    "codec": "ac3",
    "lines": [LINE, LINE],
    "clipped_samples": 0,
    "miss_lu": 0.1,
    "target_lufs": -24.0,
    "loudness_lufs": -23.9,
    "ceiling_dbtp": -1.0,
    "gain_db": 0.0,
    "limited_db": -0.0,
}
PROOF = {
    "loudness_lufs": -23.8,
    "true_peak_dbtp": -1.5,
    "bed_null_db": -9.0,
    "bed_gain_db": -0.2,
    "offset_ms": 0.02,
    "line_gains_db": [0.1, -0.3],
    "heard_together": 0,
    "speech_s": 30.0,
    "dubbed_s": 20.0,
    "muted_s": [],
    "original_left_db": -33.0,
    "doubled_s": [],
}


def results(tmp_path, change=None, options=None) -> dict[str | None, bool]:
    track = copy.deepcopy({"report": REPORT, "proof": PROOF})
    for part, values in (change or {}).items():
        track[part].update(values)
    path = tmp_path / "mix.json"
    write_json(path, {"tracks": {"es": track, "ca": {"report": REPORT, "proof": PROOF}}})
    bench: Any = SimpleNamespace(
        work=SimpleNamespace(mix_report=path),
        settings=SimpleNamespace(mix=options or MixOptions()),
    )
    return {found.check_name: found.passed for found in checks.of_mix(bench)}


def test_a_voice_over_may_have_both_voices(tmp_path):
    both = {"proof": {"doubled_s": [4.0]}}
    assert all(results(tmp_path, both, MixOptions(preset="voice-over")).values())


def test_what_is_heard_is_shown_by_language():
    muted = PROOF | {"muted_s": [[4.0, 4.2], [7.0, 8.0]], "original_left_db": None}
    tracks = {"es": {"proof": PROOF}, "ca": {"proof": muted}}
    assert checks.heard_figures(tracks) == {
        "muted_s_es": 0.0,
        "original_left_db_es": -33.0,
        "muted_s_ca": 1.2,
    }


def test_a_good_mix_passes_every_check(tmp_path):
    found = results(tmp_path)
    assert all(found.values())
    assert set(found) == set(STAGE["mix"].checks)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("every_line_is_audible", {"proof": {"line_gains_db": [0.1, -10.1]}}),
        ("every_line_is_audible", {"report": {"lines": [LINE, {**LINE, "dub_lufs": -70.0}]}}),
        (
            "every_line_is_audible",
            {"proof": {"line_gains_db": [0.1, -14.1]}, "report": {"limited_db": -4.0}},
        ),
        ("no_line_is_cut", {"report": {"lines": [LINE, {**LINE, "lost_samples": 1}]}}),
        ("loudness_on_target", {"proof": {"loudness_lufs": -22.9}}),
        ("loudness_on_target", {"proof": {"loudness_lufs": -25.1}}),
        ("true_peak_in_bounds", {"proof": {"true_peak_dbtp": 0.1}}),
        ("nothing_clips", {"report": {"clipped_samples": 1}}),
        ("bed_untouched", {"proof": {"bed_null_db": -2.9}}),
        ("bed_untouched", {"proof": {"bed_gain_db": 1.1}}),
        ("bed_untouched", {"report": {"codec": "flac"}, "proof": {"bed_null_db": -89.0}}),
        ("in_step", {"proof": {"offset_ms": 1.01}}),
        ("nothing_muted", {"proof": {"muted_s": [[4.0, 4.2]]}}),
        ("one_voice_at_a_time", {"proof": {"doubled_s": [4.0]}}),
    ],
)
def test_a_fault_turns_its_check_red_and_no_other(tmp_path, name, change):
    found = results(tmp_path, change)
    assert [check for check, passed in found.items() if not passed] == [name]


@pytest.mark.parametrize(
    "change",
    [
        {"proof": {"line_gains_db": [0.1, -10.0]}},
        {"proof": {"line_gains_db": [0.1, -13.9]}, "report": {"limited_db": -4.0}},
        {"proof": {"loudness_lufs": -23.0, "true_peak_dbtp": 0.0}},
        {"proof": {"bed_null_db": -3.0, "bed_gain_db": -1.0, "offset_ms": 1.0}},
        {"proof": {"bed_null_db": None, "bed_gain_db": None, "offset_ms": None}},
        {"report": {"miss_lu": 0.0, "target_lufs": -27.0}, "proof": {"loudness_lufs": -21.0}},
    ],
)
def test_at_the_limit_and_where_nothing_can_be_compared_it_passes(tmp_path, change):
    assert all(results(tmp_path, change).values())


def test_what_was_not_compared_is_said(tmp_path):
    silent = {"bed_null_db": None, "bed_gain_db": None, "offset_ms": None, "heard_together": 2}
    track = {"report": REPORT, "proof": PROOF | silent}
    write_json(tmp_path / "mix.json", {"tracks": {"es": track}})
    work = SimpleNamespace(mix_report=tmp_path / "mix.json")
    bench: Any = SimpleNamespace(work=work, settings=SimpleNamespace(mix=MixOptions()))
    said = {found.check_name: found.metadata for found in checks.of_mix(bench)}
    for name in ("bed_untouched", "in_step"):
        assert str(said[name]["not_compared_es"].value).startswith("not compared")
    assert said["every_line_is_audible"]["told_only_with_others_at_once"].value == 2


@pytest.mark.parametrize(("peak_dbtp", "passes"), [(-0.91, True), (-0.89, False)])
def test_a_delivery_standard_bounds_the_peak_to_the_meters_tenth(tmp_path, peak_dbtp, passes):
    standard = MixOptions(loudness="ebu-r128")
    proof = {"proof": {"true_peak_dbtp": peak_dbtp}}
    assert results(tmp_path, proof, standard)["true_peak_in_bounds"] is passes


ROW = {"source_index": 0, "proof": "packets", "packets": 9}
FLAGS = {"new": True, "kind": "audio", "language": "es", "flags": []}
MUX = {
    "streams": [ROW, {"source_index": None, "proof": "packets", "packets": 3}],
    "flags": [FLAGS, {**FLAGS, "new": False, "language": "en", "flags": ["default"]}],
    "converted": [],
    "max_offset_ms": 1.0,
    "shift_s": 0.0,
}


@pytest.mark.parametrize(
    ("change", "red"),
    [
        ({}, []),
        ({"max_offset_ms": 1.001}, ["in_step_with_picture"]),
        ({"streams": [{**ROW, "proof": ""}]}, ["original_streams_identical"]),
        ({"streams": []}, ["original_streams_identical"]),
        ({"flags": [{**FLAGS, "language": "ca"}]}, ["new_tracks_flagged"]),
        ({"flags": [{**FLAGS, "flags": ["default"]}]}, ["new_tracks_flagged"]),
    ],
)
def test_what_is_wrong_with_a_muxed_file_is_red(tmp_path, monkeypatch, change, red):
    monkeypatch.setattr(checks, "dubbed_languages", lambda _: ["es"])
    path = tmp_path / "mux.json"
    write_json(path, {**MUX, **change})
    bench: Any = SimpleNamespace(
        work=SimpleNamespace(mux_report=path),
        settings=SimpleNamespace(mux=MuxOptions()),
    )
    found = checks.of_mux(bench)
    assert [result.check_name for result in found if not result.passed] == red
    assert {result.check_name for result in found} == set(STAGE["mux"].checks)
