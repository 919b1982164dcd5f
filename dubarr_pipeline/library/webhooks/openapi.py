"""OpenAPI 3.1 document of the webhook server, with schemas built from the types of the code."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from dubarr_pipeline.library.dub_requests import DUB_REQUEST
from dubarr_pipeline.library.webhooks.payloads import SENDERS
from dubarr_pipeline.library.webhooks.rest import (
    API,
    MOST_VIDEOS,
    AcceptedRequest,
    VideoPage,
    VideoState,
)
from dubarr_pipeline.services.bearer_auth import OPEN_PATH

_SCHEMAS = "#/components/schemas/"
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
    "additionalProperties": False,
}
_REFUSALS = {
    400: "The body broke off or cannot be read.",
    401: "The token is missing or wrong.",
    404: "There is no such video or sender.",
    408: "The body did not arrive in time.",
    411: "The body's length is not declared.",
    413: "The body is too long.",
    422: "It is not understood, not allowed, or names no video; the words say which.",
    500: "A fault of the server.",
    503: "Too many requests at once: try again.",
    507: "The work folder takes nothing more.",
}
_READING, _WRITING = (401, 500, 503), (401, 408, 411, 413, 422, 500, 503, 507)


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document."""
    answers = (AcceptedRequest, VideoPage, VideoState)
    _, definitions = TypeAdapter.json_schemas(
        [
            ("DubRequest", "validation", DUB_REQUEST),
            *((each.__name__, "serialization", TypeAdapter(each)) for each in answers),
        ],
        ref_template=_SCHEMAS + "{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "dubarr: requests and webhooks", "version": "1"},
        "security": [{"bearer": []}, {"password": []}, {"header": []}],
        "paths": {**_own_paths(), **_common_paths()},
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Dubarr-Token"},
            },
        },
    }


def _own_paths() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": MOST_VIDEOS, "default": 100}
    span = [
        _parameter("from", "query", {"type": "integer", "minimum": 0, "default": 0}),
        _parameter("count", "query", count),
    ]
    dub = {
        "operationId": "dub",
        "summary": "Have a file dubbed into these languages.",
        "description": "The same request again changes nothing. The path is ours or the sender's.",
        "requestBody": _content({"$ref": _SCHEMAS + "DubRequest"}),
        "responses": _answers(202, "AcceptedRequest", 400, *_WRITING),
    }
    one = {
        "operationId": "showVideo",
        "summary": "Tell the state, the stages and the published places of a video or request.",
        "parameters": [_parameter("key", "path", {"type": "string"})],
        "responses": _answers(200, "VideoState", 404, *_READING),
    }
    several = {
        "operationId": "listVideos",
        "summary": "List videos by key.",
        "parameters": span,
        "responses": _answers(200, "VideoPage", 422, *_READING),
    }
    this = {
        "operationId": "describe",
        "summary": "Return this document.",
        "responses": _answers(200, {"type": "object"}, *_READING),
    }
    return {
        f"{API}/dub": {"post": dub},
        f"{API}/videos": {"get": several},
        f"{API}/videos/{{key}}": {"get": one},
        f"{API}/openapi.json": {"get": this},
    }


def _common_paths() -> dict[str, Any]:
    sender = {"type": "string", "enum": list(SENDERS)}
    told = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    news = {
        "operationId": "tell",
        "summary": "Tell news of files.",
        "parameters": [_parameter("sender", "path", sender)],
        "requestBody": _content({"type": "object"}),
        "responses": _answers(200, told, 400, 404, *_WRITING),
    }
    alive = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    health = {
        "operationId": "health",
        "summary": "Tell that the server is there.",
        "security": [],
        "responses": _answers(200, alive),
    }
    return {OPEN_PATH: {"get": health}, "/{sender}": {"post": news}}


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answers(status: int, schema: str | dict[str, Any], *refusals: int) -> dict[str, Any]:
    """Return an operation's answers: what it says, by name or as a schema, and its refusals."""
    said = {"$ref": _SCHEMAS + schema} if isinstance(schema, str) else schema
    error = {"application/json": {"schema": {"$ref": _SCHEMAS + "Error"}}}
    return {
        str(status): {
            "description": "It is done.",
            "content": {"application/json": {"schema": said}},
        },
        **{
            str(refusal): {"description": _REFUSALS[refusal], "content": error}
            for refusal in sorted({*refusals})
        },
    }
