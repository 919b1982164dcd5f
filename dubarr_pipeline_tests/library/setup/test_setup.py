"""Set-up against stand-ins: what it writes, what it leaves, and what it says of faults."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dubarr_pipeline import files
from dubarr_pipeline.api import setup
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.defs.library_names import LibraryNames, keep_names
from dubarr_pipeline.errors import MissingRequirement, SettingsError
from dubarr_pipeline.library.setup.connect import connect_webhook
from dubarr_pipeline.library.setup.keys import KnownServer, keep_server, kept_key, known_servers
from dubarr_pipeline.library.setup.servers import find_servers, try_server
from dubarr_pipeline.library.setup.wishes import ServerWish, SetupWish
from dubarr_pipeline_tests.fixtures.dagster_server import free_port
from dubarr_pipeline_tests.fixtures.stand_in_servers import KEYS, StandIn, running

MINE = "# mine\n[mix]\ncodec = 'ac3'   # and why\n"


@dataclass
class House:
    """Servers that name folders otherwise, and a machine on which nothing is set up."""

    folder: Path
    servers: dict[str, StandIn]

    @property
    def config(self) -> Path:
        return self.folder / "dubarr.toml"

    def settings(self) -> Settings:
        return load_settings(self.config, self.folder / "work")

    def wish(self, **changes: object) -> SetupWish:
        servers = tuple(ServerWish(k, s.url, KEYS[k]) for k, s in self.servers.items())  # type: ignore[arg-type]
        films = (str(self.folder / "media" / "films"),)
        return replace(SetupWish(films, ("es",), servers=servers), **changes)  # type: ignore[arg-type]

    def set_up(self, wish: SetupWish) -> list[str]:
        settings = self.settings()
        plan = setup.plan_changes(wish, settings)
        steps = list(setup.apply_changes(wish, plan, settings))
        assert [each.fault for each in steps if each.fault] == []
        return [each.words for each in steps]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    for name in ("DUBARR_WEBHOOK_TOKEN", "DUBARR_WORK_DIR", "DAGSTER_HOME", "DUBARR_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    films = tmp_path / "media" / "films"
    (films / "Film (2020)").mkdir(parents=True)
    monkeypatch.setenv("DUBARR_WORK_DIR", str(tmp_path / "work"))
    servers = {
        "radarr": StandIn("radarr", {"/movies": ["Film (2020)"]}),
        "bazarr": StandIn("bazarr", renames=[["/movies", "/data/movies"]]),
        "jellyfin": StandIn("jellyfin", {"/movies": []}),
        "plex": StandIn("plex", {str(films): []}),
    }
    port = f"\n[webhooks]\nport = {free_port()}\n"
    (tmp_path / "dubarr.toml").write_text(MINE + port)
    with running(*servers.values()):
        yield House(tmp_path, servers)


def test_all_is_written_and_the_rest_stays(house: House):
    steps = house.set_up(house.wish())
    text = house.config.read_text()
    assert text.startswith(MINE)
    films = str(house.folder / "media" / "films")
    read = tomllib.loads(text)
    library = read["libraries"]["films"]
    assert library["path"] == films
    assert library["target_langs"] == ["es"]
    assert library["publish"] == {"mode": "beside"}
    assert library["path_mappings"] == {"/movies": films, "/data/movies": films}
    assert read["rescans"]["jellyfin"]["path_mappings"] == {films: "/movies"}
    assert "path_mappings" not in read["rescans"]["plex"]
    (hook,) = house.servers["radarr"].hooks
    assert hook["name"] == "dubarr"
    assert hook["onDownload"]
    assert hook["onMovieFileDelete"]
    assert not hook["onGrab"]
    assert any("media_folder and webhook_inbox are on" in each for each in steps)
    assert (house.folder / "work" / ".servers.json").stat().st_mode & 0o777 == 0o600
    said = text + " ".join(steps)
    assert not [key for key in KEYS.values() if key in said]
    settings = house.settings()
    assert kept_key(settings.rescans["jellyfin"].url, settings.work_dir) == KEYS["jellyfin"]


def test_better_voices_are_chosen_once_they_are_here(house: House):
    """`/setup` sends the same wish; what there is to fetch is fetched by others here."""
    settings, fetched = house.settings(), []
    wish = SetupWish((str(house.folder / "media" / "films"),), ("es",), profile="laptop")
    plan = setup.plan_changes(wish, settings)
    assert [each.words for each in plan.changes if 'profile = "laptop"' in each.words]

    def fail(_: Settings) -> None:
        raise MissingRequirement("the hub cannot be reached")

    steps = list(setup.apply_changes(wish, plan, settings, fail))
    assert [each.fault for each in steps if each.fault] == ["the hub cannot be reached"]
    assert "profile" not in tomllib.loads(house.config.read_text())
    steps = list(setup.apply_changes(wish, plan, settings, fetched.append))
    assert not any(each.fault for each in steps)
    assert len(fetched) == 1
    read = tomllib.loads(house.config.read_text())
    assert (read["profile"], len(read["libraries"])) == ("laptop", 1)
    assert MINE in house.config.read_text()
    assert not setup.plan_changes(wish, house.settings()).changes


def test_set_up_twice_changes_nothing(house: House):
    house.set_up(house.wish())
    files = {p: p.read_bytes() for p in (house.config, house.folder / "work" / ".servers.json")}
    for server in house.servers.values():
        server.written.clear()
    again = setup.plan_changes(house.wish(), house.settings())
    assert again.changes == ()
    assert again.faults == ()
    # Without keys and questions, by what was kept.
    present = setup.present_wish(house.settings())
    assert setup.plan_changes(present, house.settings()).changes == ()
    assert house.set_up(house.wish()) == []
    assert {path: path.read_bytes() for path in files} == files
    assert [each for s in house.servers.values() for each in s.written] == []
    assert len(house.servers["radarr"].hooks) == 1


def test_a_library_in_another_project_has_its_sensors_there(house: House):
    keep_names(LibraryNames(("acme",)), house.folder / "work")
    plan = setup.plan_changes(house.wish(), house.settings())
    assert [each.words for each in plan.changes if "sensor" in each.words] == []
    (note,) = plan.notes
    assert "acme_media_folder and acme_webhook_inbox" in note
    assert not [each for each in house.set_up(house.wish()) if "webhook_inbox" in each]


def test_another_token_or_address_changes_the_same_webhook(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    house.set_up(house.wish())
    monkeypatch.setenv("DUBARR_WEBHOOK_TOKEN", "another-token-0123456789")
    assert len(house.set_up(house.wish())) == 1
    (hook,) = house.servers["radarr"].hooks
    values = {each["name"]: each["value"] for each in hook["fields"]}
    assert values["password"] == "another-token-0123456789"
    assert house.servers["radarr"].written[-1] == "PUT /api/v3/notification/1"


def test_a_refused_webhook_is_named_and_the_rest_goes_on(house: House):
    wish = house.wish(address="http://127.0.0.1:9")
    settings = house.settings()
    steps = list(setup.apply_changes(wish, setup.plan_changes(wish, settings), settings))
    (fault,) = [each.fault for each in steps if each.fault]
    assert "Radarr at" in fault
    assert "Url: Unable to send test message" in fault
    assert "http://127.0.0.1:9/radarr" in fault
    token = (house.folder / "work" / ".webhook-token").read_text()
    assert token not in fault
    assert house.servers["radarr"].hooks == []
    assert any("are on" in each.words for each in steps)
    assert "films" in house.settings().libraries


def test_faults_are_one_sentence_and_set_up_goes_on(house: House):
    jellyfin = house.servers["jellyfin"]
    servers = (
        ServerWish("radarr", house.servers["radarr"].url, "wrong" * 4),
        ServerWish("sonarr", house.servers["radarr"].url, KEYS["radarr"]),
        ServerWish("plex", "http://127.0.0.1:9", KEYS["plex"]),
        ServerWish("jellyfin", jellyfin.url, KEYS["jellyfin"]),
    )
    missing = str(house.folder / "nowhere")
    films = str(house.folder / "media" / "films")
    wish = house.wish(servers=servers, folders=(missing, films), mappings={"/movies": films})
    plan = setup.plan_changes(wish, house.settings())
    said = "\n".join(plan.faults)
    assert "refuses the key: copy it again" in said
    assert "is Radarr: give the address of Sonarr" in said
    assert "Plex at http://127.0.0.1:9 cannot be reached" in said
    assert f"{missing} is not there" in said
    assert len(plan.faults) == 4
    assert "wrong" * 4 not in said + repr(wish)
    assert any("rescans.jellyfin" in each.words for each in plan.changes)


def test_a_url_base_a_page_and_another_server_are_told_apart(house: House):
    with running(
        radarr := StandIn("radarr", base="/radarr"), page := StandIn("sonarr", mode="html")
    ):
        bare = radarr.url.removesuffix("/radarr")
        found = try_server("radarr", bare, KEYS["radarr"])
        assert found.better_url == radarr.url
        assert f"its address is {radarr.url}" in found.fault
        assert try_server("radarr", radarr.url, KEYS["radarr"]).fault == ""
        assert "sent a page instead of data" in try_server("sonarr", page.url, "k" * 32).fault
    other = try_server("radarr", house.servers["jellyfin"].url, "k" * 32).fault
    assert "refuses the key" in other


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://me:secret@h", "k"),
        ("http://h/?apikey=secret", "k"),
        ("h", "k"),
        ("http://h", "kéy"),
    ],
)
def test_addresses_and_keys_that_cannot_be_are_refused(url: str, key: str):
    found = try_server("radarr", url, key)
    assert found.fault
    assert "secret" not in found.fault
    assert "kéy" not in found.fault


def test_servers_are_found_where_they_answer(house: House):
    there = [(kind, server.url) for kind, server in house.servers.items()]
    tried = [("radarr", "http://127.0.0.1:9"), *there, ("sonarr", house.servers["bazarr"].url)]
    assert dict(find_servers(tried)) == dict(there)  # type: ignore[arg-type]


def test_a_sonarr_is_told_of_each_import_once(house: House):
    with running(sonarr := StandIn("sonarr", {"/tv": []})):
        known = KnownServer("sonarr", sonarr.url, KEYS["sonarr"])
        with pytest.raises(SettingsError, match="refuses the webhook"):
            connect_webhook(known, "http://127.0.0.1:9/sonarr", "t" * 32)
        schema = sonarr._schema()
        assert schema["supportsOnImportComplete"]


def test_keys_are_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, modes = tmp_path / ".servers.json", set[int]()
    place = files.put_in_place

    def watched(temporary: Path, to: Path) -> None:
        modes.add(temporary.stat().st_mode & 0o777)
        place(temporary, to)

    monkeypatch.setattr(files, "put_in_place", watched)
    keep_server(KnownServer("sonarr", "http://127.0.0.1:9", "secret"), tmp_path)
    assert modes == {0o600}
    # As `cp` leaves it, where a backup was put back.
    path.chmod(0o644)
    assert [each.key for each in known_servers(tmp_path)] == ["secret"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_damaged_keys_are_asked_for_again(house: House):
    house.set_up(house.wish())
    (house.folder / "work" / ".servers.json").write_text("{")
    assert known_servers(house.folder / "work") == []
    assert any(
        "key of" in e.words for e in setup.plan_changes(house.wish(), house.settings()).changes
    )


def test_a_folder_that_nobody_knows_is_asked_for(house: House):
    house.servers["radarr"].roots["/kids"] = []
    plan = setup.plan_changes(house.wish(), house.settings())
    assert plan.unknown == ("/kids",)
    assert "/kids=/our/folder" in plan.faults[0]
