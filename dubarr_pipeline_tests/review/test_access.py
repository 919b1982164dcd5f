"""Who may ask, from which page, under which name."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.review.access import SESSION, Names
from dubarr_pipeline.review.app import review_app
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline_tests.fixtures.review_film import HERE, KEY, TOKEN, client_of

FILM = f"/api/v1/films/{KEY}"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def stranger(room: ReviewRoom) -> TestClient:
    return TestClient(review_app(room, TOKEN, Names.of("127.0.0.1", "")), base_url=HERE)


@pytest.mark.parametrize("path", ["/api/v1/films", FILM, f"{FILM}/lines?lang=es", SESSION])
def test_nothing_of_a_film_is_shown_without_the_token(stranger: TestClient, path: str):
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_pages_are_open_and_hold_nothing_of_a_film(stranger: TestClient):
    assert stranger.get("/health").json() == {"status": "ok"}
    told = stranger.get("/", follow_redirects=False)
    assert told.headers["location"] == "/review/"


def test_the_token_is_exchanged_for_a_cookie_that_no_script_reads(room: ReviewRoom):
    client = client_of(room)
    assert client.get(FILM).status_code == 200
    (cookie,) = client.cookies.jar
    assert TOKEN not in str(cookie.value)
    told = client.post(SESSION, json={}, headers=BEARER).headers["set-cookie"]
    assert "HttpOnly" in told
    assert "SameSite=strict" in told


def test_a_forged_cookie_opens_nothing(room: ReviewRoom, stranger: TestClient):
    (cookie,) = client_of(room).cookies.jar
    for value in ("", str(cookie.value)[:-1], "ü"):
        sent = {"Cookie": f"{cookie.name}={value}".encode()}
        assert stranger.get(FILM, headers=sent).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [(HERE, 200), ("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:3000", 403)],
)
def test_a_change_comes_from_our_own_page(room: ReviewRoom, origin: str, status: int):
    client = client_of(room)
    wish = {"revision": 0, "by": "me", "facts": []}
    told = client.post(f"{FILM}/edits/es", json=wish, headers={"Origin": origin})
    assert told.status_code == status, told.text


def test_a_program_needs_the_token_and_no_origin(stranger: TestClient):
    wish = {"revision": 0, "by": "me", "facts": []}
    assert stranger.post(f"{FILM}/edits/es", json=wish, headers=BEARER).status_code == 200
    assert stranger.post(f"{FILM}/edits/es", json=wish).status_code == 401


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_a_form_sends_is_refused(room: ReviewRoom, kind: str):
    client = client_of(room)
    told = client.post(f"{FILM}/edits/es", content="{}", headers={"Content-Type": kind})
    assert told.status_code == 415


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8766", 200),
        ("localhost:1", 200),
        ("[::1]:8766", 200),
        ("192.168.1.5", 200),
        ("dub.example.org", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_name_that_leads_here_by_somebody_elses_doing_is_refused(
    room: ReviewRoom, host: str, status: int
):
    names = Names.of("127.0.0.1", "https://dub.example.org")
    client = TestClient(review_app(room, TOKEN, names), base_url=HERE)
    assert client.get("/health", headers={"Host": host}).status_code == status


def test_behind_a_proxy_the_linked_address_is_our_own_page(room: ReviewRoom):
    names = Names.of("127.0.0.1", "https://dub.example.org")
    client = client_of(room, names)
    wish = {"revision": 0, "by": "me", "facts": []}
    for origin, status in (("https://dub.example.org", 200), ("https://other.org", 403)):
        told = client.post(f"{FILM}/edits/es", json=wish, headers={"Origin": origin})
        assert told.status_code == status


def test_every_answer_forbids_scripts_from_elsewhere(stranger: TestClient):
    for path in ("/review/", "/health", FILM, "/nothing"):
        policy = stranger.get(path).headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/films/%2e%2e",
        "/api/v1/films/..%2f..%2fetc",
        "/api/v1/films/other-01234567",
        f"{FILM}/lines?lang=..%2fes",
        f"{FILM}/sound/..%2fvideo.json",
        f"{FILM}/sound/dub.wav?lang=../es",
        f"{FILM}/peaks/dub?lang=*",
        f"{FILM}/edits/speakers",
        f"{FILM}/edits/..%2f..%2fx",
        "/review/static/..%2fapp.py",
        "/review/static/%2e%2e/app.py",
        "/review/static/.hidden",
    ],
)
def test_no_address_is_a_path(room: ReviewRoom, path: str):
    assert client_of(room).get(path).status_code == 404
