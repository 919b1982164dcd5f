"""Health and metrics on our own servers: ``/healthz`` and ``/metrics``, for watching programs.

Programs of this machine need no token. From elsewhere metrics need it; without it, health says
whether all is well, and nothing of what is not.
"""

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dubarr_pipeline.errors import DubbingError, RequestRefused
from dubarr_pipeline.services.bearer_auth import shows_token
from dubarr_pipeline.services.web import Endpoint

HEALTH, METRICS = "/healthz", "/metrics"
MONITORING = frozenset((HEALTH, METRICS))
"""Paths that check by themselves who may see what."""
_FORWARDED = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
"""Headers of a proxy, whose own address says nothing of who asks."""
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Outcome of one check: `fault` says what is wrong, and is empty where nothing is."""

    name: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Reader of the state of a whole installation.

    Attributes:
        health: returns all checks.
        metrics: returns all figures, in Prometheus' text format. Raises `DubbingError` where the
            store cannot be read.
    """

    health: Callable[[], Sequence[HealthCheck]]
    metrics: Callable[[], bytes]


def monitoring_routes(monitor: Monitor | None, token: str) -> Mapping[tuple[str, str], Endpoint]:
    """Return the endpoints, by method and path; none without a monitor."""
    if monitor is None:
        return {}

    async def health(request: Request) -> Response:
        checks = await run_in_threadpool(monitor.health)
        is_well = not any(each.fault for each in checks)
        answer: dict[str, Any] = {"status": "ok" if is_well else "failing"}
        if _may_see_all(request, token):
            answer["faults"] = [asdict(each) for each in checks if each.fault]
            answer["checked"] = [each.name for each in checks]
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        headers = {"Cache-Control": "no-store"}
        return Response(json.dumps(answer) + "\n", status, headers, "application/json")

    async def metrics(request: Request) -> Response:
        if not _may_see_all(request, token):
            words = "the token is missing or wrong: send Authorization: Bearer TOKEN"
            raise RequestRefused(401, "invalid_token", words)
        try:
            text = await run_in_threadpool(monitor.metrics)
        except DubbingError as error:
            raise RequestRefused(503, "no_figures", str(error)) from error
        return Response(text, media_type=_PROMETHEUS)

    return {("GET", HEALTH): health, ("GET", METRICS): metrics}


def _may_see_all(request: Request, token: str) -> bool:
    """Return whether a program of this machine asks, by an address and not by a proxy, or a token.

    A name that somebody had resolve to this machine (DNS rebinding) is none of its addresses.
    """
    headers = request.scope.get("headers") or []
    if token and shows_token(headers, token):
        return True
    if any(name in _FORWARDED for name, _ in headers):
        return False
    return _is_loopback(request.client.host if request.client else "") and _is_loopback(
        urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
