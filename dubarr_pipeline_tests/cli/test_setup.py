"""`dubarr setup` and `dubarr setup voices` at a terminal, and what a first dub asks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from dubarr_pipeline.api import voices
from dubarr_pipeline.cli.main import main
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.errors import MissingRequirement, SettingsError
from dubarr_pipeline.models import store
from dubarr_pipeline_tests.fakes.tiny.hub import running_hub
from dubarr_pipeline_tests.fixtures.bench import DUBARR
from dubarr_pipeline_tests.fixtures.stand_in_servers import KEYS, StandIn, running
from dubarr_pipeline_tests.fixtures.terminal import CTRL_C, converse


@dataclass(frozen=True)
class Machine:
    """A computer that has nothing but the embedded profile, and a hub with small models."""

    folder: Path
    environment: dict[str, str]
    wanted: tuple[str, ...]

    @property
    def config(self) -> Path:
        return self.folder / "dubarr.toml"

    def dub(self, answer: bytes, *options: str) -> tuple[int, str]:
        """Run `dubarr dub` of no film in a terminal; return its exit code and what it shows.

        The answer is typed when the question stands there.
        """
        answers = [(b"[y/N]", answer)] if answer else []
        command = ["dub", "no.mkv", "--to", "es", *options]
        return converse(command, answers, self.folder, self.environment)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    names = ("DUBARR_CONFIG", "DUBARR_WORK_DIR", "HF_HUB_OFFLINE", "DUBARR_OFFLINE", "HF_TOKEN")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    offer = voices.voices_offer(load_settings(None, tmp_path / "work"))
    wanted = tuple(name for name, *_ in offer.models)
    for name in wanted:
        row = store.known_model(name)
        for pattern in row.files if not row.urls else ():
            path = tmp_path / "hub" / row.repo / pattern.replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(3000))
        for address in row.urls:
            path = tmp_path / "hub" / "files" / re.sub(r"^https?://", "", address)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(3000))
    with running_hub(tmp_path / "hub") as hub:
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        yield Machine(tmp_path, dict(os.environ), wanted)


def _models_here(machine: Machine) -> set[str]:
    return {name for name in machine.wanted if store.is_present(name)}


def test_without_a_network_nothing_changes_and_the_question_stays(machine: Machine):
    machine.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    code, shown = machine.dub(b"y\n")
    assert code == 3
    assert "cannot be reached" in shown
    assert "run `dubarr setup voices` again" in shown
    assert "--profile lite" in shown
    assert not machine.config.exists()
    assert "robot" in machine.dub(b"n\n")[1]


def test_nobody_is_offered_voices_that_do_not_speak_the_language(machine: Machine):
    settings = load_settings(None, machine.folder / "work")
    assert voices.is_to_be_asked(settings, ("es", "fr"))
    assert not voices.is_to_be_asked(settings, ("es", "de"))


def test_a_first_dub_asks_once_and_takes_no_for_an_answer(machine: Machine):
    code, shown = machine.dub(b"n\n")
    assert code == 4
    assert "These voices are a robot's" in shown
    assert re.search(r"about \d+ MB once \(.*MIT", shown)
    assert "dubarr setup voices" in shown
    assert shown.index("[y/N]") < shown.index("no.mkv")
    assert not _models_here(machine)
    assert not machine.config.exists()
    code, shown = machine.dub(b"")
    assert code == 4
    assert "robot" not in shown


def test_a_yes_gets_all_of_it_and_chooses_the_profile(machine: Machine):
    code, shown = machine.dub(b"y\n")
    assert code == 4
    assert "together" in shown
    assert _models_here(machine) == set(machine.wanted) != set()
    assert tomllib.loads(machine.config.read_text()) == {"profile": "laptop"}


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (("--profile", "lite"), ""),
        ((), 'profile = "lite"\n'),
        ((), '[synthesis]\nengine = "tone"\n'),
    ],
)
def test_who_has_chosen_is_not_asked(machine: Machine, options: tuple[str, ...], settings: str):
    if settings:
        machine.config.write_text(settings)
    code, shown = machine.dub(b"", *options)
    assert code == 4
    assert "robot" not in shown
    assert "[y/N]" not in shown


def test_outside_a_terminal_nobody_is_asked(machine: Machine):
    done = subprocess.run(
        [DUBARR, "dub", "no.mkv", "--to", "es"],
        cwd=machine.folder,
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "robot" not in done.stdout + done.stderr


def test_without_a_terminal_setup_wants_a_yes_in_words(machine: Machine):
    refused = CliRunner().invoke(main, ["setup", "voices"])
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    for name in machine.wanted:
        assert f"{name}: about " in refused.output
    assert not _models_here(machine)


def test_setup_brings_the_models_and_keeps_the_other_settings(machine: Machine):
    machine.config.write_text('# mine\nprofile = "lite"\n[mix]\ncodec = "ac3"\n')
    done = CliRunner().invoke(main, ["setup", "voices", "--yes"])
    assert done.exit_code == 0, done.output
    assert _models_here(machine) == set(machine.wanted)
    text = machine.config.read_text()
    assert text == '# mine\nprofile = "laptop"\n[mix]\ncodec = "ac3"\n'
    again = CliRunner().invoke(main, ["setup", "voices", "--yes"])
    assert again.exit_code == 0
    assert "fetch" not in again.output


def test_a_model_that_only_helps_may_be_missing_at_its_host(machine: Machine):
    offer = voices.voices_offer(load_settings(None, machine.folder / "work"))
    (helpful,) = offer.helpful
    shutil.rmtree(machine.folder / "hub" / store.known_model(helpful).repo)
    done = CliRunner().invoke(main, ["setup", "voices", "--yes"])
    assert done.exit_code == 0, done.output
    assert f"works without {helpful}" in done.output
    assert _models_here(machine) == {*machine.wanted} - {helpful}
    assert tomllib.loads(machine.config.read_text()) == {"profile": "laptop"}


def test_the_translators_of_named_languages_are_offered(machine: Machine):
    asked = CliRunner().invoke(main, ["setup", "voices", "--from", "en", "--to", "es,fr"])
    pairs = voices.voices_offer(
        load_settings(None, machine.folder / "work"), (("en", "es"), ("en", "fr"))
    )
    more = {name for name, *_ in pairs.models} - {*machine.wanted}
    assert len(more) >= 2
    for name in more:
        assert f"{name}: about " in asked.output


def test_a_profile_below_a_table_is_none_of_ours(machine: Machine):
    machine.config.write_text(
        '[libraries.films]\npath = "/films"\ntarget_langs = ["es"]\nprofile = "lite"\n'
    )
    settings = load_settings(machine.config, machine.folder / "work")
    voices.choose_profile(settings)
    read = tomllib.loads(machine.config.read_text())
    assert read["profile"] == "laptop"
    assert read["libraries"]["films"]["profile"] == "lite"


def test_missing_packages_are_installed_by_pip(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    lines = [
        "click>=8",
        'sentencepiece>=99 ; extra == "laptop"',
        'no-such-package<2 ; extra == "laptop"',
        'numpy>=1 ; extra == "laptop"',
        'torch>=2 ; extra == "studio"',
    ]
    monkeypatch.setattr(voices.metadata, "requires", lambda _: lines)
    offer = voices.voices_offer(load_settings(None, machine.folder / "work"))
    assert offer.packages == ("sentencepiece>=99", "no-such-package<2")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingRequirement, match=r"pip could not install 'no-such-package<2'"):
        voices.install(["no-such-package<2"])


def test_an_environment_without_pip_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voices, "find_spec", lambda _: None)
    with pytest.raises(MissingRequirement, match=r"no pip beside .*'sentencepiece>=0.2'"):
        voices.install(["sentencepiece>=0.2"])


def test_settings_that_are_no_text_are_left_alone(machine: Machine):
    settings = load_settings(None, machine.folder / "work")
    machine.config.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        voices.choose_profile(settings)
    assert machine.config.read_bytes() == b"\xff\xfe"


def test_setup_asks_hides_keys_and_changes_nothing_before_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in [each for each in os.environ if each.startswith(("DUBARR_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    films, config = tmp_path / "films", tmp_path / "dubarr.toml"
    films.mkdir()
    server = StandIn("jellyfin", {str(films): []})
    key = KEYS["jellyfin"]
    questions = [
        *((f"Address of {title} (- for none)".encode(), b"-\n") for title in ("Radarr", "Sonarr")),
        (b"Address of Bazarr (- for none)", b"-\n"),
        (b"Key of Jellyfin", f"{key}\n".encode()),
        (b"Address of Plex (- for none)", b"-\n"),
        (b"Folders of films", b"\n"),
        (b"Dub into", b"es\n"),
        (b"Voices", b"lite\n"),
    ]
    with running(server):
        command = ["setup", "--jellyfin", server.url]

        def answer(*more: tuple[bytes, bytes]) -> tuple[int, str]:
            return converse(command, [*questions, *more], tmp_path, os.environ)

        code, shown = answer((b"Do all this?", CTRL_C))
        assert code == 1
        assert "Aborted!" in shown
        assert key not in shown
        assert str(films) in shown
        # The token of webhooks is made to be shown; nothing else is.
        assert not config.exists()
        assert not list(tmp_path.rglob(".servers.json"))
        code, shown = answer((b"Do all this?", b"y\n"))
        assert code == 0, shown
        assert key not in shown
    (kept,) = tmp_path.rglob(".servers.json")
    assert key in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    read = tomllib.loads(config.read_text())
    assert [(each["path"], each["target_langs"]) for each in read["libraries"].values()] == [
        (str(films), ["es"])
    ]
    assert key not in config.read_text()
