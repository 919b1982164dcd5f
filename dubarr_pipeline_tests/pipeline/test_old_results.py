"""Films that 0.1.0 finished before its facts were canonical: nothing of them is made again.

The tables are frozen: what it wrote, down to the order of fields and the names of classes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.mix.options import DuckingOptions, MixOptions
from dubarr_pipeline.segments import journal, tasks
from dubarr_pipeline.segments.tasks import line_tasks
from dubarr_pipeline.timing.tempo import TempoLimits
from dubarr_pipeline.workdir import checkpoints, legacy_keys
from dubarr_pipeline.workdir.checkpoints import Record, Wanted
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.cli.test_plan import planned, reason, redone
from dubarr_pipeline_tests.fixtures.bench import Bench, stats
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

DEFAULTS = legacy_keys._DEFAULTS
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "vocals": {"audio": DEFAULTS["AudioOptions"], "options": DEFAULTS["SpeechOptions"]},
    "diarization": {"options": DEFAULTS["CueClusterOptions"]},
    "transcript": {"options": DEFAULTS["SubtitleOptions"]},
    "context": {"options": DEFAULTS["PlainOptions"]},
    "refs": {"options": DEFAULTS["RefOptions"]},
    "segments": {"options": DEFAULTS["ProductionOptions"]},
    "mix": {"options": DEFAULTS["MixOptions"]},
    "mux": {"options": DEFAULTS["MuxOptions"]},
}
"""Stage -> the options in its facts, all of them at their defaults."""

REPRS = {
    "silero": (
        "SpeechOptions(threshold=0.4, release=0.25, min_speech_s=0.15, min_silence_s=0.3, "
        "pad_s=0.15, target_dbfs=-20.0, max_gain_db=40.0)"
    ),
    "lite": (
        "SeparationOptions(method='auto', most_spread_db=-10.0, least_side_db=-30.0, "
        "centre_caution=1.0, wiener_caution=4.0, dialogue_rise_db=3.0, "
        "dialogue_reach_db=-15.0)"
    ),
    "cue-clusters": (
        "CueClusterOptions(clusters=ClusterOptions(most=40, fewest=1, clear_silhouette=0.22, "
        "clear_spread=25.0, silhouette_alone=0.37, least_spread=15.0, few=6, "
        "simpler_gain=0.0), longest_heard_s=8.0, bridged_pause_s=0.3, window_s=3.0, "
        "at_once_s=0.5)"
    ),
    "subtitles": (
        "SubtitleOptions(alignment=AlignmentOptions(tolerance_s=0.6, lead_in_s=1.0, "
        "linger_s=2.5, shortest_pause_s=0.08, fastest_syllables_per_s=8.0), "
        "lines=LineOptions(join_gap_s=0.5, longest_s=10.0, dividing_pause_s=0.6, "
        "pause_reach_s=0.8, shortest_s=0.4), edges=EdgeOptions(most_s=0.35, below_db=26.0, "
        "quiet_db=12.0, lead_s=0.02, longest_read_s=4.0), shortest_line_s=0.1)"
    ),
    "plain": (
        "PlainOptions(leading_lines=5, targets=('es', 'ca', 'gl', 'fr', 'de', 'it', 'pt', "
        "'pt-BR', 'nl', 'pl', 'ru', 'uk', 'cs', 'ro', 'hu', 'tr', 'sv', 'da', 'nb', 'fi', "
        "'el', 'ja', 'ko'), low_hz=145.0, high_hz=175.0, longest_heard_s=60.0)"
    ),
}
"""Engine -> the repr in its identity."""

VERDICT = (
    "VerdictOptions(shorter=Fraction(9, 10), longer=Fraction(21, 20), slowest=Fraction(17, 20), "
    "fastest=Fraction(6, 5), gentle_slow=Fraction(9, 10), gentle_fast=Fraction(11, 10), takes=3)"
)


def old_fingerprint(stage: str, code_version: str, facts: Mapping[str, Any]) -> str:
    if stage in ("track", "mix"):
        facts = {**facts, "options": OPTIONS["mix"]["options"]}
    document = json.dumps([stage, code_version, facts], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def old_wanted(stage: str, code_version: str, facts: Mapping[str, Any]) -> Wanted:
    found = {**facts, **OPTIONS.get(stage, {})}
    for name, value in found.items():
        if isinstance(value, str) and value.endswith("/{}"):
            found[name] = value.removesuffix("{}") + REPRS[value.partition("/")[0]]
    fingerprint = old_fingerprint(stage, code_version, found)
    return Wanted(fingerprint, {**found, "code version": code_version})


def old_digest(*facts: Any) -> str:
    shaped = [
        [VERDICT if isinstance(each, TempoLimits) else each for each in fact]
        if isinstance(fact, list)
        else fact
        for fact in facts
    ]
    return journal.digest(*shaped)


def write_manifest(path: Path, document: Mapping[str, Any]) -> None:
    write_json(path, {name: value for name, value in document.items() if name != "canonical"})


@pytest.fixture(scope="module")
def old_once(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny film, dubbed in the old way; never to be changed."""
    bench = Bench(tmp_path_factory.mktemp("old") / "work")
    with pytest.MonkeyPatch.context() as then:
        then.setattr(checkpoints, "wanted", old_wanted)
        then.setattr(checkpoints, "fingerprint", old_fingerprint)
        then.setattr(checkpoints, "write_json", write_manifest)
        then.setattr(tasks, "digest", old_digest)
        then.setattr(tasks, "verdict_text", lambda _: None)
        answer = bench.dub(tiny_film, "es,ca")
        assert answer.code == 0, answer.both
    facts = read_json(bench.work.checkpoints / "transcript.json")["facts"]
    assert facts["engine"].endswith(REPRS["subtitles"])
    return bench


@pytest.fixture
def old(old_once: Bench, tmp_path: Path) -> Bench:
    """A copy of it, on which a test may go on."""
    shutil.copytree(old_once.work_dir, tmp_path / "work")
    return Bench(tmp_path / "work")


def test_nothing_of_an_old_film_is_made_again(old: Bench, tiny_film: Path) -> None:
    before = {stage: read_json(old.work.checkpoints / f"{stage}.json") for stage in OPTIONS}
    assert redone(planned(old)) == ()
    assert old.dub(tiny_film, "es,ca").code == 0
    assert old.made() == ()
    after = {stage: read_json(old.work.checkpoints / f"{stage}.json") for stage in OPTIONS}
    assert after == before


def test_a_language_less_speaks_no_line_and_mixes_no_track(old: Bench, tiny_film: Path) -> None:
    tracks = read_json(old.work.mix_report)["tracks"]
    assert redone(planned(old, "--to", "es")) == ("segments", "mix", "mux", "report")
    assert old.dub(tiny_film, "es").code == 0
    assert old.made() == ("segments", "mix", "mux", "report")
    found = stats(old.work)
    assert (found["lines"], found["reused"], found["spoken"]) == (2, 2, 0)
    assert read_json(old.work.mix_report)["tracks"] == {"es": tracks["es"]}


def test_what_changed_since_is_named_and_only_that(old: Bench, tmp_path: Path) -> None:
    config = tmp_path / "dubarr.toml"
    config.write_text("[diarization.clusters]\nfew = 7\n[production]\nmax_takes = 2\n")
    found = planned(Bench(old.work_dir, config))
    assert redone(found)[0] == "diarization"
    assert "options.clusters.few: default → 7" in reason(found, "diarization")


def test_a_damaged_manifest_is_no_proof(old: Bench) -> None:
    manifest = old.work.checkpoints / "mux.json"
    document = read_json(manifest)
    write_json(manifest, {**document, "facts": document["facts"]})
    assert redone(planned(old)) == ()
    write_json(manifest, {**document, "files": {}})
    assert redone(planned(old)) == ("mux", "report")


def lean(**facts: Any) -> dict[str, Any]:
    return legacy_keys.canonical_facts(facts)


def test_old_options_become_canonical() -> None:
    for tables in OPTIONS.values():
        assert lean(**tables) == {name: {} for name in tables}
    mix = OPTIONS["mix"]["options"]
    changed = {**mix, "fade_ms": 9.0, "ducking": {**mix["ducking"], "depth_db": 6.5}}
    assert lean(options=changed) == {"options": {"fade_ms": 9, "ducking": {"depth_db": 6.5}}}
    production = OPTIONS["segments"]["options"]
    verdict = {**production["verdict"], "fastest": "13/10", "slowest": "1", "longer": "3/2"}
    expected = {"verdict": {"fastest": "13/10", "slowest": 1, "longer": 1.5}}
    assert lean(options={**production, "verdict": verdict}) == {"options": expected}


def test_old_identities_become_canonical() -> None:
    for engine, text in REPRS.items():
        assert lean(engine=f"{engine}/1/{text}") == {"engine": f"{engine}/1/{{}}"}
    plain = REPRS["plain"].replace("leading_lines=5", "leading_lines=7")
    text = f"llm/3 model t=0.0 seed=1 in 6000 tokens, plain/1/{plain}"
    canonical = 'llm/3 model t=0.0 seed=1 in 6000 tokens, plain/1/{"leading_lines":7}'
    assert lean(engine=text) == {"engine": canonical}
    nested = REPRS["cue-clusters"].replace("few=6", "few=7")
    assert lean(engine=nested) == {"engine": '{"clusters":{"few":7}}'}


@pytest.mark.parametrize(
    "text", ["SubtitleOptions(", "OtherOptions(a=1)", "PlainOptions(leading_lines=<x>)", "(", "{}"]
)
def test_what_cannot_be_read_stays_as_it_is(text: str) -> None:
    assert lean(engine=text) == {"engine": text}


@pytest.mark.parametrize("facts", [{"options": {**OPTIONS["segments"]["options"], "verdict": 3}}])
def test_damaged_facts_do_not_stop_a_plan(facts: dict[str, Any]) -> None:
    assert lean(**facts)["options"]["verdict"] == 3


def test_the_old_keys_are_those_that_the_old_version_wrote(tmp_path: Path) -> None:
    fast = TempoLimits(fastest=Fraction(13, 10), slowest=Fraction(1, 2))
    expected = {
        TempoLimits(): ("b9c3703659063eeb375e21dc", "eed166246c378983187d1bb2"),
        fast: ("24d2691156332791df782774", "02ce2e18a5e376a0c9196069"),
    }
    for tempo, keys in expected.items():
        made = order(tmp_path, transcript(2), options=SegmentsOptions(tempo=tempo))
        found = line_tasks(made)
        assert (found[0].old_line_key, found[-1].old_line_key) == keys
        assert (found[0].draft_key, found[-1].draft_key) == (
            "5ba5ce2335b39e1cbe8c1533",
            "570c772abf4e92fa89528fbf",
        )


def test_the_old_fingerprints_of_tracks_are_those_that_the_old_version_wrote() -> None:
    changed = MixOptions(preset="duck", ducking=DuckingOptions(depth_db=6.0), bitrate_kbps=256)
    for options, expected in (
        (MixOptions(), "85e7e369622cbbe2bb902a69f4ca655d"),
        (changed, "11bfea400f324f8f1fe7b782a1e54901"),
    ):
        facts = {"stems": "production", "options": options, "lines": [[0, "placed", 480, "abc"]]}
        assert legacy_keys.track_fingerprint("3", facts) == expected
    facts = {"options": {"an_option_of_later": True}}
    assert legacy_keys.track_fingerprint("3", facts) is None
    assert legacy_keys.verdict_text({"an_option_of_later": True}) is None


def test_an_old_manifest_that_the_record_does_not_name_is_no_proof(tmp_path: Path) -> None:
    work = WorkDir(tmp_path / "film-0a1b2c3d")
    facts = {"options": {**OPTIONS["mux"]["options"], "subtitles": False}}
    wanted = checkpoints.wanted("mux", "1", {"options": {"subtitles": False}})
    write_json(
        work.checkpoints / "mux.json",
        {"fingerprint": "old", "files": {}, "facts": {**facts, "code version": "1"}},
    )
    record = Record("old", "production", checkpoints._digest(work.checkpoints / "mux.json"))
    assert checkpoints.decide(work, "mux", wanted, {}, record).keep
    other = Record("other", "production", record.manifest)
    assert not checkpoints.decide(work, "mux", wanted, {}, other).keep
