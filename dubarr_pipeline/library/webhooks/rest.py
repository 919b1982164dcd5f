"""REST for requests of people: ``/api/v1``, on the server of the webhooks.

It writes requests into the inbox, which the sensor `webhook_inbox` works off, and reads the task
table; films are neither read nor dubbed here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import (
    ArtifactError,
    RequestRefused,
    SettingsError,
    SourceError,
    WorkspaceError,
)
from dubarr_pipeline.library.dub_requests import (
    DubRequest,
    film_of,
    path_in_library,
    read_request,
    registered_for,
)
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.receipts import Receipt, read_receipt, write_receipt
from dubarr_pipeline.services.web import Endpoint, WebLimits, read_body

API = "/api/v1"
MOST_VIDEOS = 500
"""Videos in one answer."""
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class StageState:
    """A stage of a video: whether it is made, and when (seconds since 1970) and how long it ran."""

    stage: str
    made: bool
    reused: bool = False
    seconds: float | None = None
    recorded_at: float | None = None


@dataclass(frozen=True, slots=True)
class VideoState:
    """A video, or a request that has none yet.

    Attributes:
        key: of its partition; of a request without a video the name of its receipt.
        state: as `dubarr status` has it; ``REQUESTED`` or ``REFUSED`` without a video.
        cause: why it failed, is refused, waits or is not published.
        published: paths and addresses at which its library has it.
    """

    key: str
    title: str
    path: str
    state: str
    languages: tuple[str, ...]
    cause: str | None = None
    library: str | None = None
    profile: str = ""
    stages: tuple[StageState, ...] = ()
    published: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoPage:
    """Some of all videos, by key."""

    total: int
    videos: Annotated[tuple[VideoState, ...], Field(max_length=MOST_VIDEOS)]


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """Answer to a request: ``/api/v1/videos/{key}`` tells what becomes of it."""

    key: str
    state: str


@dataclass(frozen=True, slots=True)
class VideoLookup:
    """Reader of the task table.

    Attributes:
        find: returns the video of a key. Raises `ArtifactError` if there is none.
        page: returns so many videos from a number on.
    """

    find: Callable[[str, Settings], VideoState]
    page: Callable[[int, int, Settings], VideoPage]


_VIDEO, _PAGE = TypeAdapter(VideoState), TypeAdapter(VideoPage)


def rest_routes(
    live: LiveSettings, limits: WebLimits, lookup: VideoLookup
) -> Mapping[tuple[str, str], Endpoint]:
    """Return the endpoints, by method and path."""
    # Its schemas are built from the types with the first question.
    from dubarr_pipeline.library.webhooks.openapi import openapi_document

    async def dub(request: Request) -> Response:
        body = await read_body(request, limits)
        answer = await run_in_threadpool(_take, body, live.current(), lookup)
        return JSONResponse({"key": answer.key, "state": answer.state}, 202)

    async def list_videos(request: Request) -> Response:
        start = _number(request, "from", 0, None)
        count = _number(request, "count", 100, MOST_VIDEOS)
        page = await run_in_threadpool(lookup.page, start, count, live.current())
        return JSONResponse(_PAGE.dump_python(page, mode="json"))

    async def show_video(request: Request) -> Response:
        key = request.path_params["key"]
        found = await run_in_threadpool(_find, key, live.current(), lookup)
        return JSONResponse(_VIDEO.dump_python(found, mode="json"))

    async def openapi(_: Request) -> Response:
        return JSONResponse(openapi_document())

    return {
        ("POST", f"{API}/dub"): dub,
        ("GET", f"{API}/videos"): list_videos,
        ("GET", f"{API}/videos/{{key}}"): show_video,
        ("GET", f"{API}/openapi.json"): openapi,
    }


def _take(body: bytes, settings: Settings, lookup: VideoLookup) -> AcceptedRequest:
    """Put a request into the inbox; return the key to ask for. Raises `RequestRefused`."""
    try:
        request = _allowed(read_request(body), settings)
        film = film_of(request, settings)
    except SourceError as error:
        raise RequestRefused(422, "unusable_video", str(error)) from error
    except SettingsError as error:
        raise RequestRefused(422, "not_understood", str(error)) from error
    known = registered_for(request, film, settings)
    receipt = Receipt(request)
    try:
        write_receipt(receipt, settings.work_dir)
        Inbox(settings.work_dir).put(film.library or "", request)
    except (WorkspaceError, OSError) as error:
        raise RequestRefused(507, "inbox_not_writable", str(error)) from error
    if known and not request.force:
        return AcceptedRequest(known.key, lookup.find(known.key, settings).state)
    return AcceptedRequest(receipt.name, receipt.state)


def _allowed(request: DubRequest, settings: Settings) -> DubRequest:
    """Return a request with our own path, if that lies where requests may name files."""
    path = path_in_library(request.path, settings.libraries.values())
    if path is None:
        given = Path(request.path)
        folders = [each.resolve() for each in settings.webhooks.folders]
        try:
            inside = given.is_absolute() and any(map(given.resolve().is_relative_to, folders))
        except (OSError, RuntimeError, ValueError):
            inside = False
        if not inside:
            raise SettingsError(
                f"{request.path[:_QUOTED]!r} is not inside any library (see path_mappings), "
                "nor in webhooks.folders"
            )
        path = given
    return replace(request, path=str(path))


def _find(key: str, settings: Settings, lookup: VideoLookup) -> VideoState:
    """Return a video by its key, or by the receipt of its request. Raises `RequestRefused`."""
    receipt = read_receipt(key, settings.work_dir)
    try:
        if receipt is None or receipt.video:
            return lookup.find(receipt.video if receipt else key, settings)
    except ArtifactError as error:
        raise RequestRefused(404, "unknown_video", str(error)) from error
    request = receipt.request
    return VideoState(
        key=receipt.name,
        title=Path(request.path).stem,
        path=request.path,
        state=receipt.state,
        languages=request.target_langs,
        cause=receipt.cause or "the sensor webhook_inbox has not looked at it yet",
        library=request.library or settings.owner_of(Path(request.path)),
        profile=request.profile,
    )


def _number(request: Request, name: str, default: int, most: int | None) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number < 0 or (most is not None and number > most):
        bounds = f"0 to {most}" if most is not None else "0 or more"
        raise RequestRefused(422, "not_understood", f"{name} must be a number, {bounds}")
    return number


def error_document(error: RequestRefused) -> dict[str, Any]:
    """Return the answer to what is refused."""
    return {"error": str(error)}
