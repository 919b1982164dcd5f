"""New tracks in files beside the film: named as players look for them, in place, and proven."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from dubarr_pipeline.files import read_json
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.workdir.artifacts import read_sound
from dubarr_pipeline_tests.fixtures.bench import Bench, write_config


def test_each_language_in_its_own_file(dubbed: Bench, tiny_film, tmp_path) -> None:
    config = tmp_path / "dubarr.toml"
    write_config(config, {"mux": {"container": "mka", "default_policy": "dub"}})
    bench = Bench(dubbed.work_dir, config)
    before = hashlib.sha256(tiny_film.read_bytes()).hexdigest()
    answer = bench.dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    assert bench.made() == ("mux", "report")
    assert hashlib.sha256(tiny_film.read_bytes()).hexdigest() == before

    offset_s = read_sound(bench.work.speech).audio.offset_s
    for language, title, default in (("es", "Español · dub", True), ("ca", "Català · dub", False)):
        path = bench.work.root / f"{tiny_film.stem}.{language}.mka"
        assert str(path) in answer.out
        told = subprocess.run(["mkvmerge", "-J", path], capture_output=True, check=True).stdout
        sound, text = (track["properties"] for track in json.loads(told)["tracks"])
        assert (sound["language_ietf"], sound["track_name"]) == (language, title)
        assert (sound["default_track"], text["default_track"]) == (default, False)
        assert "machine-made" in sound["tag_dubarr"]
        assert text["language_ietf"] == language
        info = probe(path)
        assert info.audio[0].start_s == pytest.approx(offset_s, abs=1e-3)
        assert not info.video
    checks = read_json(bench.work.mux_report)
    assert [row["proof"] for row in checks["streams"]] == ["packets"] * 4
