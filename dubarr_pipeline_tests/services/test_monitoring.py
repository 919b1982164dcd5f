"""Who may see what of health and metrics, on a real application."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.errors import ServiceUnavailable
from dubarr_pipeline.services.monitoring import (
    MONITORING,
    HealthCheck,
    Monitor,
    monitoring_routes,
)
from dubarr_pipeline.services.web import WebApp, WebLimits

TOKEN = "0123456789abcdef"
WELL = (HealthCheck("store"), HealthCheck("daemon"))
ILL = (HealthCheck("store"), HealthCheck("daemon", "no sign of life for 100 s"))


def client(checks: tuple[HealthCheck, ...] = WELL, peer: str = "127.0.0.1", **names: str):
    def away() -> bytes:
        raise ServiceUnavailable("the store is away")

    monitor = Monitor(lambda: checks, away if checks is ILL else lambda: b"dubarr_films 3\n")
    routes = monitoring_routes(monitor, TOKEN)
    app = WebApp(routes, TOKEN, WebLimits(1000, 5.0), lambda e: {"error": str(e)}, MONITORING)
    return TestClient(app, f"http://{names.get('host', '127.0.0.1')}", client=(peer, 5000))


def test_this_machine_sees_all():
    for peer, host in (("127.0.0.1", "localhost:8766"), ("::1", "[::1]:8766")):
        asked = client(peer=peer, host=host)
        assert asked.get("/metrics").text == "dubarr_films 3\n"
        found = asked.get("/healthz")
        assert found.status_code == 200
        assert found.json() == {"status": "ok", "faults": [], "checked": ["store", "daemon"]}


def test_a_fault_is_named_and_is_503():
    found = client(ILL).get("/healthz")
    assert found.status_code == 503
    assert found.json()["faults"] == [{"name": "daemon", "fault": "no sign of life for 100 s"}]
    assert client(ILL).get("/metrics").status_code == 503


@pytest.mark.parametrize(
    ("peer", "host", "headers"),
    [
        ("10.0.0.7", "127.0.0.1", {}),
        ("127.0.0.1", "evil.example", {}),
        ("127.0.0.1", "127.0.0.1", {"X-Forwarded-For": "10.0.0.7"}),
        ("127.0.0.1", "127.0.0.1", {"Authorization": "Bearer wrong", "Via": "1.1 proxy"}),
    ],
)
def test_strangers_learn_only_whether_all_is_well(peer: str, host: str, headers: dict[str, str]):
    asked = client(ILL, peer, host=host)
    found = asked.get("/healthz", headers=headers)
    assert (found.status_code, found.json()) == (503, {"status": "failing"})
    assert client(WELL, peer, host=host).get("/healthz", headers=headers).status_code == 200
    assert asked.get("/metrics", headers=headers).status_code == 401
    shown = {**headers, "Authorization": f"Bearer {TOKEN}"}
    assert client(WELL, peer, host=host).get("/metrics", headers=shown).status_code == 200
    assert asked.get("/healthz", headers=shown).json()["faults"]


def test_without_a_monitor_nothing_is_served():
    assert monitoring_routes(None, TOKEN) == {}
