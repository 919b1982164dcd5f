"""Calls of the review server as one table, from which its routes and its OpenAPI follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.review.access import API, SESSION
from dubarr_pipeline.review.answers.film_answers import RefusalAnswer
from dubarr_pipeline.review.room import ReviewRoom

FILM = f"{API}/films/{{key}}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its call sees it.

    Attributes:
        names: the parts of its path that are not fixed.
        query: checked and with its defaults.
        headers: in lower case.
        body: as it was sent.
    """

    names: Mapping[str, str]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """Key of the film."""
        return self.names["key"]

    def document(self, kind: type[Any]) -> Any:
        """Return the body as a value of its type. Raises `RequestRefused` (415, 422)."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise RequestRefused(415, "not_json", "send application/json")
        try:
            return adapter(kind).validate_json(self.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise RequestRefused(422, "not_valid", f"{where}: {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of an address: its type, its default (None: it must be given), its meaning."""

    name: str
    kind: Any
    words: str
    default: Any = None

    def read(self, given: str | None) -> Any:
        """Return its value. Raises `RequestRefused` (422)."""
        if given is None:
            if self.default is None:
                raise RequestRefused(422, "not_valid", f"{self.name} is missing: {self.words}")
            return self.default
        try:
            return adapter(self.kind).validate_strings(given)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise RequestRefused(422, "not_valid", f"{self.name}: {fault}") from error


Handler = Callable[[ReviewRoom, Asked], Any]
"""Answers in a thread: with a value of the call's type, or with a response."""


@dataclass(frozen=True, slots=True)
class RestCall:
    """One call.

    Attributes:
        handler: its first sentence describes the call.
        answer: type of the document that it answers with, or the media type of its bytes.
        body: type of the document that it takes, or the media type of its bytes.
        more: further statuses, each with the type of its document.
    """

    method: str
    path: str
    handler: Handler
    answer: type[Any] | str
    query: tuple[Query, ...] = ()
    body: type[Any] | str | None = None
    status: int = 200
    more: Mapping[int, type[Any]] = field(default_factory=dict[int, type[Any]])

    def respond(self, room: ReviewRoom, asked: Asked) -> Response:
        """Answer a request; for a thread."""
        value = self.handler(room, asked)
        if isinstance(value, Response):
            return value
        return json_response(self.answer, value, self.status)


def json_response(kind: Any, value: Any, status: int = 200) -> Response:
    """Return a document as a response."""
    return Response(adapter(kind).dump_json(value), status, media_type="application/json")


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the reader and writer of a type; it costs more to make than to use."""
    return TypeAdapter(kind)


def openapi(calls: tuple[RestCall, ...], version: str) -> dict[str, Any]:
    """Return the calls as an OpenAPI 3.1 document."""
    kinds = [RefusalAnswer]
    for call in calls:
        kinds += [k for k in (call.answer, call.body, *call.more.values()) if isinstance(k, type)]
    named: Any = [(kind, "serialization", adapter(kind)) for kind in dict.fromkeys(kinds)]
    schemas, defined = TypeAdapter.json_schemas(named, ref_template="#/components/schemas/{model}")
    of_kind = {kind: schema for (kind, _), schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, of_kind)
    paths[SESSION] = {"post": _OPEN_SESSION}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dubarr review",
            "version": version,
            "description": "See docs/review_api.md.",
        },
        "paths": paths,
        "components": {
            "schemas": defined.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(call: RestCall, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    def content(kind: type[Any] | str) -> dict[str, Any]:
        if isinstance(kind, str):
            return {kind: {"schema": {"type": "string", "format": "binary"}}}
        return {"application/json": {"schema": schemas[kind]}}

    names = re.findall(r"{(\w+)}", call.path)
    answers = {call.status: call.answer, **call.more}
    words = " ".join((call.handler.__doc__ or "").partition("\n\n")[0].split())
    described: dict[str, Any] = {
        "operationId": call.handler.__name__,
        "summary": words,
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": _TEXT} for n in names),
            *(
                {
                    "name": each.name,
                    "in": "query",
                    "required": each.default is None,
                    "description": each.words,
                    "schema": adapter(each.kind).json_schema(),
                }
                for each in call.query
            ),
        ],
        "responses": {
            **{
                str(status): {"description": words, "content": content(kind)}
                for status, kind in answers.items()
            },
            "default": {"description": "The reason.", "content": content(RefusalAnswer)},
        },
    }
    if call.body:
        described["requestBody"] = {"required": True, "content": content(call.body)}
    return described


_TEXT = {"type": "string"}
_OPEN_SESSION = {
    "operationId": "open_session",
    "summary": "Exchange the token for a cookie, which media elements send as well.",
    "responses": {"200": {"description": "The cookie."}, "401": {"description": "A wrong token."}},
}
