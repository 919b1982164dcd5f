"""Fetching models from a hub that cuts, stalls, corrupts, refuses and is busy."""

from __future__ import annotations

import email.utils
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.compute.backoff import Backoff
from dubarr_pipeline.errors import (
    BadReply,
    DiskFull,
    MissingRequirement,
    ModelDamaged,
    ModelRefused,
    NotWritable,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from dubarr_pipeline.models import pull, store
from dubarr_pipeline.models.download import Patience
from dubarr_pipeline.models.pull import Fetched, PullOptions
from dubarr_pipeline_tests.fakes.tiny.hub import COMMIT, Hub, running_hub

HASTY = Patience(attempts=3, backoff=Backoff(0.001), stall_s=20.0, retry_after_limit_s=0.2)
OPTIONS = PullOptions(patience=HASTY)
STALLED = PullOptions(patience=replace(HASTY, stall_s=0.5))
NAME = "Systran/faster-whisper-large-v3"
WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b"{}", "model.bin": WEIGHTS, "tokenizer.json": b"[1]", "extra.md": b"no"}
FILES |= {"vocabulary.json": b"[]", "preprocessor_config.json": b'{"x": 1}', ".gitattributes": b"*"}
WANTED = {"config.json", "model.bin", "tokenizer.json", "vocabulary.json"}
WANTED |= {"preprocessor_config.json"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, known to this process, and an empty store."""
    for path, content in FILES.items():
        _put(tmp_path / "hub" / NAME / path, content)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "DUBARR_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(tmp_path / "models"))
    with running_hub(tmp_path / "hub") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def _expected() -> dict[str, bytes]:
    return {name: FILES[name] for name in WANTED}


def _weights_asked(hub: Hub) -> list[str | None]:
    return [a.range for a in hub.downloads() if a.host == "cdn" and a.path.endswith("model.bin")]


def test_a_model_comes_whole_and_only_what_is_needed_of_it(hub: Hub):
    told: list[Fetched] = []
    assert not store.is_present(NAME)
    seal = pull.pull(NAME, PullOptions(patience=HASTY, on_fetched=told.append))
    folder = store.model_folder(NAME)
    assert _held(folder) == _expected()
    assert seal.revision == COMMIT
    assert set(seal.files) == WANTED
    assert seal.size == sum(map(len, _expected().values())) == told[-1].total
    done = [step.done for step in told]
    assert done == sorted(done)
    assert done[-1] == seal.size
    assert store.is_present(NAME)
    assert store.model_identity(NAME) == f"{NAME}@{COMMIT[:12]}#{seal.digest()}"
    assert list((store.models_dir() / ".partial").iterdir()) == []


def test_what_is_there_is_not_fetched_again(hub: Hub):
    first = pull.pull(NAME, OPTIONS)
    asked = len(hub.asked)
    assert pull.pull(NAME, OPTIONS) == first
    assert len(hub.asked) == asked


@pytest.mark.parametrize("cut", [0, 1, 150_000, len(WEIGHTS) - 1])
def test_a_cut_download_goes_on_at_the_byte_where_it_stopped(hub: Hub, cut: int):
    hub.faults.cuts["model.bin"] = [cut]
    pull.pull(NAME, OPTIONS)
    assert _held(store.model_folder(NAME)) == _expected()
    assert _weights_asked(hub) == [None, f"bytes={cut}-" if cut else None]
    assert hub.sent < len(WEIGHTS) + 3000


def test_a_host_that_cuts_for_ever_brings_it_all_the_same_a_piece_at_a_time(hub: Hub):
    hub.faults.cuts["model.bin"] = [30_000] * 9
    pull.pull(NAME, OPTIONS)
    assert _held(store.model_folder(NAME)) == _expected()


def test_a_host_that_gives_nothing_is_given_up(hub: Hub):
    hub.faults.cuts["model.bin"] = [1000, 0, 0, 0, 0]
    with pytest.raises(ServiceUnavailable, match=r"model\.bin"):
        pull.pull(NAME, OPTIONS)
    assert not store.is_present(NAME)
    pull.pull(NAME, OPTIONS)
    assert _weights_asked(hub)[-1] == "bytes=1000-"


def test_a_host_that_knows_no_ranges_sends_it_all_again(hub: Hub):
    hub.faults.cuts["model.bin"] = [100_000]
    hub.faults.ignores_ranges = True
    pull.pull(NAME, OPTIONS)
    assert _held(store.model_folder(NAME)) == _expected()


def test_a_stall_is_left_and_tried_again(hub: Hub):
    hub.faults.stalls["model.bin"] = [5.0]
    pull.pull(NAME, STALLED)
    assert set(_weights_asked(hub)) == {None, f"bytes={len(WEIGHTS) // 2}-"}
    assert _held(store.model_folder(NAME)) == _expected()


def test_a_host_that_only_stalls_is_named(hub: Hub):
    hub.faults.stalls["config.json"] = [5.0] * 9
    with pytest.raises(ServiceTimeout, match=r"config\.json stalled"):
        pull.pull(NAME, STALLED)


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_a_wrong_byte_is_seen_and_fetched_once_more(hub: Hub, name: str):
    hub.faults.corrupt[name] = 1
    pull.pull(NAME, OPTIONS)
    assert _held(store.model_folder(NAME)) == _expected()


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_wrong_bytes_twice_are_an_error_and_nothing_is_placed(hub: Hub, name: str):
    hub.faults.corrupt[name] = 2
    with pytest.raises(ModelDamaged, match=f"{name}.* instead of .*twice"):
        pull.pull(NAME, OPTIONS)
    assert not store.is_present(NAME)
    assert not store.folder_of(NAME).exists()
    pull.pull(NAME, OPTIONS)
    assert store.is_present(NAME)


def test_a_busy_host_is_waited_for(hub: Hub):
    hub.faults.busy["model.bin"] = 2
    pull.pull(NAME, OPTIONS)
    assert store.is_present(NAME)


@pytest.mark.parametrize("asked", ["0.1", "1", "soon", "date"])
def test_the_pause_that_a_host_asks_for_is_kept(hub: Hub, asked: str):
    hub.faults.busy["model.bin"] = 1
    in_a_while = email.utils.formatdate(time.time() + 60, usegmt=True)
    hub.faults.retry_after_s = in_a_while if asked == "date" else asked
    started = time.monotonic()
    pull.pull(NAME, OPTIONS)
    waited = time.monotonic() - started >= HASTY.retry_after_limit_s
    assert waited or asked in ("0.1", "soon")


def test_a_host_that_stays_busy_is_named(hub: Hub):
    hub.faults.busy["model.bin"] = 9
    with pytest.raises(ServiceUnavailable, match=r"model\.bin answered 503: busy"):
        pull.pull(NAME, OPTIONS)
    assert hub.faults.busy["model.bin"] == 9 - HASTY.attempts


def test_a_file_that_is_refused_for_good_is_not_asked_for_again(hub: Hub):
    hub.faults.status["model.bin"] = 404
    with pytest.raises(ModelRefused, match="404"):
        pull.pull(NAME, OPTIONS)
    assert sum(a.path.endswith("model.bin") for a in hub.asked) == 1


def test_an_answer_that_means_nothing_is_named(hub: Hub):
    hub.faults.status["model.bin"] = 418
    with pytest.raises(BadReply, match="418"):
        pull.pull(NAME, OPTIONS)


def test_no_host_at_all(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        pull.pull(NAME, OPTIONS)


def test_a_gated_model_names_the_page_to_accept(hub: Hub):
    hub.gated.add(NAME)
    with pytest.raises(
        ModelRefused, match=f"accept the model's terms at https://.*/{NAME}"
    ) as error:
        pull.pull(NAME, OPTIONS)
    assert "no token was found" in str(error.value)


def test_the_token_is_told_to_the_hub_alone_and_never_logged(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    hub.token = "hf_secret"
    with pytest.raises(ModelRefused, match="HF_TOKEN"):
        pull.pull(NAME, OPTIONS)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ModelRefused, match="your token has no access") as error:
        pull.pull(NAME, OPTIONS)
    assert "hf_wrong" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.faults.busy["model.bin"] = 1
    with caplog.at_level(logging.DEBUG):
        pull.pull(NAME, OPTIONS)
    assert {a.token for a in hub.asked if a.host == "cdn"} == {None}
    assert "Bearer hf_secret" in {a.token for a in hub.asked if a.host == "hub"}
    assert "hf_secret" not in caplog.text


def test_the_usual_token_file_is_read(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub.token = "hf_filed"
    _put(tmp_path / "home" / "token", b"hf_filed\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    pull.pull(NAME, OPTIONS)
    assert store.is_present(NAME)


def test_plain_addresses_are_never_told_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("DUBARR_MIRROR", f"{hub.cdn}/files")
    _plain_model(hub, b"weights", "weights.bin")
    pull.pull("own", OPTIONS)
    assert {a.token for a in hub.asked} == {None}


def _plain_model(hub: Hub, content: bytes, name: str) -> None:
    _put(hub.root / "files" / "example.org" / name, content)
    _put(
        store.models_dir() / "models.toml",
        f'[models.own]\nurls = ["https://example.org/{name}"]\ntexts."a.yaml" = "x: 1\\n"'.encode(),
    )


def test_a_model_of_plain_addresses_is_checked_by_the_checksum_in_its_name(hub: Hub):
    _plain_model(hub, b"weights", "net-9a2ed3cd.th")
    with pytest.raises(ModelDamaged, match="instead of 9a2ed3cd"):
        pull.pull("own", OPTIONS)
    _plain_model(hub, b"weights", "net-cc4f4a2a.th")
    found = store.sha256_of(hub.root / "files/example.org/net-cc4f4a2a.th")[:8]
    _plain_model(hub, b"weights", f"net-{found}.th")
    pull.pull("own", OPTIONS)
    assert _held(store.model_folder("own")) == {f"net-{found}.th": b"weights", "a.yaml": b"x: 1\n"}


def test_a_model_that_changed_on_the_hub_is_not_taken_for_the_pinned_one(hub: Hub):
    pull.pull(NAME, OPTIONS)
    pull.remove(NAME)
    assert NAME in store.pins()
    _put(hub.root / NAME / "model.bin", os.urandom(len(WEIGHTS)))
    with pytest.raises(ModelDamaged, match="pull --update"):
        pull.pull(NAME, OPTIONS)
    changed = pull.pull(NAME, PullOptions(update=True, patience=HASTY))
    assert store.pins()[NAME].seal == changed


def test_a_pinned_model_needs_no_listing(hub: Hub):
    first = pull.pull(NAME, OPTIONS)
    pull.remove(NAME)
    hub.asked.clear()
    assert pull.pull(NAME, OPTIONS) == first
    assert not any("/api/" in a.path for a in hub.asked)


def test_damage_on_the_disk_is_found_and_only_it_is_fetched_again(hub: Hub):
    pull.pull(NAME, OPTIONS)
    assert pull.verify(NAME) == []
    damaged = bytearray(WEIGHTS)
    damaged[-1] ^= 1
    _put(store.folder_of(NAME) / "model.bin", bytes(damaged))
    assert store.is_present(NAME)
    assert [fault.partition(":")[0] for fault in pull.verify(NAME)] == ["model.bin"]
    assert not store.is_present(NAME)
    hub.asked.clear()
    pull.pull(NAME, OPTIONS)
    assert {a.path.rpartition("/")[2] for a in hub.downloads()} == {"model.bin"}
    assert _held(store.model_folder(NAME)) == _expected()


def test_a_file_that_is_gone_or_short_makes_the_model_missing(hub: Hub):
    pull.pull(NAME, OPTIONS)
    (store.folder_of(NAME) / "config.json").unlink()
    assert not store.is_present(NAME)
    with pytest.raises(MissingRequirement, match=f"dubarr models pull {NAME}"):
        store.model_folder(NAME)
    assert pull.verify(NAME) == ["config.json: is missing"]


def test_verify_and_remove_of_what_is_not_there(hub: Hub):
    with pytest.raises(MissingRequirement, match="dubarr models pull"):
        pull.verify(NAME)
    assert pull.remove(NAME) == 0


def test_remove_frees_what_was_fetched_also_in_part(hub: Hub):
    hub.faults.cuts["model.bin"] = [1000, 0, 0, 0]
    with pytest.raises(ServiceUnavailable):
        pull.pull(NAME, OPTIONS)
    assert pull.remove(NAME) > 1000
    pull.pull(NAME, OPTIONS)
    assert pull.remove(NAME) >= len(WEIGHTS)
    assert not store.folder_of(NAME).exists()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "DUBARR_OFFLINE"])
def test_offline_nothing_is_asked_and_what_is_there_serves(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str
):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(MissingRequirement, match="offline"):
        pull.pull(NAME, OPTIONS)
    assert not hub.asked
    monkeypatch.delenv(variable)
    pull.pull(NAME, OPTIONS)
    monkeypatch.setenv(variable, "1")
    pull.pull(NAME, OPTIONS)
    assert store.model_folder(NAME)


def test_a_full_disk_is_told_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    class Usage:
        free = pull._SPARE_BYTES + sum(map(len, _expected().values())) - 1

    monkeypatch.setattr(pull.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DiskFull, match=r"needs 0\.3 MB more"):
        pull.pull(NAME, OPTIONS)
    assert not hub.downloads()
    Usage.free += 1
    pull.pull(NAME, OPTIONS)


def test_a_folder_that_cannot_be_written_names_the_setting(hub: Hub, monkeypatch):
    monkeypatch.setenv("DUBARR_MODELS_DIR", "/proc/models")
    with pytest.raises(NotWritable, match="DUBARR_MODELS_DIR"):
        pull.pull(NAME, OPTIONS)


def test_a_repository_without_the_weights_is_not_the_model(hub: Hub):
    (hub.root / NAME / "model.bin").unlink()
    with pytest.raises(ModelRefused, match=r"lacks model\.bin"):
        pull.pull(NAME, OPTIONS)


def test_names_that_mean_nothing(hub: Hub, tmp_path: Path):
    with pytest.raises(SettingsError, match="did you mean 'htdemucs_ft'"):
        pull.pull("htdemucs-ft", OPTIONS)
    with pytest.raises(ModelRefused, match="Repository not found: check its name"):
        pull.pull("nobody/nothing", OPTIONS)
    with pytest.raises(SettingsError, match="nothing to pull"):
        pull.pull(str(tmp_path), OPTIONS)
    assert store.model_folder(str(tmp_path)) == tmp_path
    with pytest.raises(MissingRequirement, match="correct the path"):
        store.model_folder(str(tmp_path / "not-there"))


def test_any_repository_of_the_hub_can_be_used(hub: Hub):
    _put(hub.root / "some-one" / "some.model" / "sub" / "weights.bin", b"w" * 2000)
    pull.pull("some-one/some.model", OPTIONS)
    assert _held(store.model_folder("some-one/some.model")) == {"sub/weights.bin": b"w" * 2000}


def test_a_file_outside_its_folder_is_not_written(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    _put(hub.root / "any" / "thing" / "x", b"")
    entry = {"type": "file", "path": "sub/../../evil.bin", "size": 1, "oid": "0"}
    monkeypatch.setattr(pull.Wire, "ask_pages", lambda *_: iter([entry]))
    with pytest.raises(ModelRefused, match="outside its folder"):
        pull.pull("any/thing", OPTIONS)


def test_several_at_once_fetch_it_once(hub: Hub):
    threads = [threading.Thread(target=pull.pull, args=(NAME, OPTIONS)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_weights_asked(hub)) == 1
    assert _held(store.model_folder(NAME)) == _expected()


_PULL = """
import sys
from dubarr_pipeline.models.pull import PullOptions, pull
def tell(fetched):
    print(fetched.done, flush=True)
pull(sys.argv[1], PullOptions(on_fetched=tell))
"""


def test_a_killed_download_goes_on_in_a_new_process(hub: Hub):
    hub.faults.stalls["model.bin"] = [60.0]
    with subprocess.Popen(
        [sys.executable, "-c", _PULL, NAME], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) > len(WEIGHTS) // 2:
                break
        child.send_signal(signal.SIGKILL)
    assert not store.is_present(NAME)
    pull.pull(NAME, OPTIONS)
    assert _weights_asked(hub) == [None, f"bytes={len(WEIGHTS) // 2}-"]
    assert _held(store.model_folder(NAME)) == _expected()
