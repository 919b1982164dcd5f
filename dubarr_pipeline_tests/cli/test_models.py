"""`dubarr models`, and what a run fetches before it begins."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dubarr_pipeline.api.profiles import make_ready
from dubarr_pipeline.cli.main import main
from dubarr_pipeline.cli.models import print_fetches
from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.engines import registry
from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.errors import LicenceError, MissingRequirement
from dubarr_pipeline.models import store
from dubarr_pipeline.models.store import ModelOptions, known_model
from dubarr_pipeline_tests.fakes.tiny.hub import Hub, running_hub

NAME = "coqui/XTTS-v2"
FILES = ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, known to the commands, and an empty store."""
    folder = tmp_path / "hub" / NAME
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(os.urandom(50_000))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "DUBARR_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(tmp_path / "models"))
    with running_hub(tmp_path / "hub") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


class Singer(ToneSynthesizer):
    """An engine that needs the model."""

    def needs(self) -> tuple[Need, ...]:
        found = store.model_need(NAME)
        return (Need("model", found.name, found.present, found.cure),)


@pytest.fixture
def singer(monkeypatch: pytest.MonkeyPatch) -> registry.EngineRow:
    """The synthesis of `lite`, under a licence that allows no commercial use."""
    row = replace(
        registry.row("synthesis", "espeak"),
        where=f"{__name__}:Singer",
        licence="CPML",
        commercial=False,
        models=(NAME,),
    )
    others = tuple(r for r in registry.own_engines() if r.name != "espeak")
    monkeypatch.setattr(registry, "own_engines", lambda: (*others, row))
    return row


def _settings(tmp_path: Path, models: str = "") -> Settings:
    return load_settings(_config(tmp_path, models), tmp_path / "work")


def _config(tmp_path: Path, models: str) -> Path:
    path = tmp_path / "dubarr.toml"
    path.write_text(f"[models]\n{models}\n", encoding="utf-8")
    return path


def _dubarr(tmp_path: Path, *arguments: str, models: str = "") -> Result:
    where = ["--config", str(_config(tmp_path, models)), "--work-dir", str(tmp_path / "work")]
    return CliRunner().invoke(main, [*arguments, *where])


ACCEPTED = 'accept_licences = ["CPML"]'


def test_a_model_is_pulled_listed_verified_and_removed(hub: Hub, tmp_path: Path):
    pulled = _dubarr(tmp_path, "models", "pull", NAME, models=ACCEPTED)
    assert pulled.exit_code == 0, pulled.output
    assert f"{NAME}: 0.2 MB to fetch" in pulled.output
    assert f"{NAME}: here, 0.2 MB, checked" in pulled.output
    rows = json.loads(_dubarr(tmp_path, "models", "list", "--json").output)
    (row,) = [row for row in rows if row["name"] == NAME]
    assert row["present"]
    assert row["bytes"] == 200_000
    assert row["identity"] == store.model_identity(NAME)
    assert not any(row["present"] for row in rows if row["name"] != NAME)
    listed = _dubarr(tmp_path, "models", "list").output
    assert f"here    {NAME}" in listed
    assert "CPML (NO commercial use)" in listed
    assert f"{NAME}: whole" in _dubarr(tmp_path, "models", "verify").output
    again = _dubarr(tmp_path, "models", "pull", NAME, models=ACCEPTED)
    assert f"{NAME}: nothing to fetch" in again.output
    assert "0.2 MB freed" in _dubarr(tmp_path, "models", "remove", NAME).output
    assert not store.is_present(NAME)


def test_models_of_a_pair_are_named_by_the_languages_of_the_film(hub: Hub, tmp_path: Path):
    asked = ("doctor", "--profile", "laptop", "--from", "fr", "--to", "es,pt-BR")
    told = _dubarr(tmp_path, *asked).output
    named = [line.split()[2] for line in told.splitlines() if "bergamot/" in line]
    assert named == ["bergamot/fr-en", "bergamot/en-es", "bergamot/en-pt"]
    assert "dubarr models pull bergamot/en-es (about 26 MB, MPL-2.0)" in told
    assert "bergamot/" not in _dubarr(tmp_path, "doctor", "--profile", "laptop").output
    assert "ok      language Spanish  (synthesis: kokoro)" in told


def test_doctor_says_which_languages_translator_and_voice_lack(hub: Hub, tmp_path: Path):
    asked = ("doctor", "--profile", "laptop", "--from", "yo", "--to", "de")
    told = _dubarr(tmp_path, *asked).output
    assert "MISSING language Yoruba to German  (translation: bergamot)" in told
    assert "MISSING language German  (synthesis: kokoro)" in told
    assert "these speak German: espeak, supertonic, xtts" in told


def test_a_language_that_the_voice_lacks_is_named_before_models_are_fetched(
    hub: Hub, tmp_path: Path
):
    film = tmp_path / "film.mkv"
    film.touch()
    told = _dubarr(tmp_path, "dub", str(film), "--to", "de", "--profile", "laptop")
    assert told.exit_code == 2
    assert "kokoro does not speak German: remove 'de'" in told.output
    assert "supertonic" in told.output
    assert "model" not in told.output


def test_of_a_large_family_the_list_shows_what_is_here(hub: Hub, tmp_path: Path):
    listed = _dubarr(tmp_path, "models", "list").output
    assert "bergamot/...  12.0 MB to 39.0 MB each" in listed
    assert "MPL-2.0" in listed
    assert " en-es " in listed
    assert listed.count("bergamot/") == 1


def test_the_models_that_a_film_decides_are_fetched_when_it_is_known(hub: Hub, tmp_path: Path):
    settings = load_settings(_config(tmp_path, "")).for_video("laptop", {})
    translator = profile_engines.translator(settings, pairs=(("en", "ca"),))
    files = known_model("bergamot/en-ca").urls
    own = [f'"{url}"' for url in files]
    # The public files are large: others of the same names stand in for them.
    models = tmp_path / "models"
    models.mkdir(exist_ok=True)
    (models / "models.toml").write_text(
        f'[models."bergamot/en-ca"]\nlicence = "MPL-2.0"\nurls = [{", ".join(own)}]\n'
    )
    for url in files:
        path = tmp_path / "hub" / "files" / url.removeprefix("https://")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(3000))
    assert not store.is_present("bergamot/en-ca")
    profile_engines.fetch_models(replace(settings, models=ModelOptions(download=False)), translator)
    assert not store.is_present("bergamot/en-ca")
    profile_engines.fetch_models(settings, translator)
    assert store.is_present("bergamot/en-ca")


def test_a_damaged_model_is_told_with_its_cure(hub: Hub, tmp_path: Path):
    _dubarr(tmp_path, "models", "pull", NAME, models=ACCEPTED)
    (store.folder_of(NAME) / "vocab.json").write_bytes(b"0" * 50_000)
    found = _dubarr(tmp_path, "models", "verify", NAME)
    assert found.exit_code == 3
    assert "vocab.json: has the sha256" in found.output
    assert f"dubarr models pull {NAME}" in found.output


def test_a_licence_without_commercial_use_is_not_fetched_unless_accepted(hub: Hub, tmp_path: Path):
    refused = _dubarr(tmp_path, "models", "pull", NAME)
    assert refused.exit_code == 2
    assert 'accept_licences = ["CPML"]' in refused.output
    assert f"https://huggingface.co/{NAME}" in refused.output
    assert not hub.asked


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("pull", "xtts"), 2, "unknown model 'xtts'"),
        (("pull", "no-body/nothing"), 3, "Repository not found"),
        (("verify", NAME), 3, "dubarr models pull"),
        (("remove", "xtts"), 2, "unknown model"),
    ],
)
def test_mistakes_have_their_exit_code(
    hub: Hub, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
):
    found = _dubarr(tmp_path, "models", *arguments)
    assert found.exit_code == code
    assert said in found.output


def test_offline_a_pull_fails_at_once(hub: Hub, tmp_path: Path):
    found = _dubarr(tmp_path, "models", "pull", NAME, models=f"offline = true\n{ACCEPTED}")
    assert found.exit_code == 3
    assert "models.offline" in found.output
    assert not hub.asked


def test_lite_lacks_no_model(hub: Hub, tmp_path: Path):
    found = _dubarr(tmp_path, "models", "pull")
    assert found.exit_code == 0
    assert "every model that it needs is here" in found.output


def test_the_folder_of_the_settings_holds_unless_the_environment_names_one(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    named = f'dir = "{tmp_path / "elsewhere"}"'
    _settings(tmp_path, named)
    assert store.models_dir() == tmp_path / "models"
    monkeypatch.delenv("DUBARR_MODELS_DIR")
    _settings(tmp_path, named)
    assert store.models_dir() == tmp_path / "elsewhere"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    _settings(tmp_path)
    assert store.models_dir() == tmp_path / "data" / "dubarr" / "models"


def test_an_engine_that_allows_no_commercial_use_is_not_built_unless_accepted(
    hub: Hub, tmp_path: Path, singer: registry.EngineRow
):
    with pytest.raises(LicenceError, match=r"synthesis engine 'espeak' is under CPML.*XTTS"):
        profile_engines.synthesizer(_settings(tmp_path))
    assert isinstance(profile_engines.synthesizer(_settings(tmp_path, ACCEPTED)), Singer)
    shown = _dubarr(tmp_path, "engines").output
    assert "CPML allows NO commercial use (not accepted)" in shown
    assert f"model {NAME}: CPML" in shown
    assert "(accepted)" in _dubarr(tmp_path, "engines", models=ACCEPTED).output


def test_before_a_run_what_is_missing_is_listed_with_its_size_and_fetched(
    hub: Hub, tmp_path: Path, singer: registry.EngineRow, capsys: pytest.CaptureFixture[str]
):
    doctor = _dubarr(tmp_path, "doctor")
    assert "MISSING licence  CPML" in doctor.output
    assert "2 missing" in doctor.output
    doctor = _dubarr(tmp_path, "doctor", models=ACCEPTED)
    assert "ok      licence  CPML" in doctor.output
    assert doctor.exit_code == 3
    assert f"MISSING model    {NAME}" in doctor.output
    assert "about 1880 MB" in doctor.output
    make_ready(_settings(tmp_path, ACCEPTED), print_fetches)
    said = capsys.readouterr().out
    assert "is missing 1 model" in said
    assert f"{NAME}: 0.2 MB to fetch" in said
    assert store.is_present(NAME)
    hub.asked.clear()
    make_ready(_settings(tmp_path, ACCEPTED), print_fetches)
    assert not hub.asked
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("never", ["download = false", "offline = true"])
def test_a_run_that_may_not_fetch_names_what_it_lacks(
    hub: Hub, tmp_path: Path, singer: registry.EngineRow, never: str
):
    with pytest.raises(MissingRequirement, match=f"model {NAME} .*dubarr models pull {NAME}"):
        make_ready(_settings(tmp_path, f"{ACCEPTED}\n{never}"))
    assert not hub.asked


def test_what_cannot_be_fetched_is_told_before_models_are(
    hub: Hub,
    tmp_path: Path,
    singer: registry.EngineRow,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(profile_engines.shutil, "which", lambda _: None)
    with pytest.raises(MissingRequirement, match="apt-get install ffmpeg") as error:
        make_ready(_settings(tmp_path, ACCEPTED), print_fetches)
    assert NAME not in str(error.value)
    assert not hub.downloads()
