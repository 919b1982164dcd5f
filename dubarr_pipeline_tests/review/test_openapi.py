"""The published description is what the server does."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.review.app import CALLS, OPENAPI
from dubarr_pipeline_tests.fixtures.review_film import KEY


@pytest.fixture
def described(client: TestClient) -> dict[str, Any]:
    return client.get(OPENAPI).json()


KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], whole: dict[str, Any], at: str = "") -> list[str]:
    """What of a value its schema does not allow, as far as our schemas go."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return faults(value, whole["components"]["schemas"][name], whole, at)
    if "anyOf" in schema:
        found = [faults(value, each, whole, at) for each in schema["anyOf"]]
        return [] if [] in found else [f"{at}: {value!r} is none of them"]
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (kind != "boolean" and value is True)):
        return [f"{at}: {value!r} is no {kind}"]
    if value not in schema.get("enum", [value]):
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    if kind == "array":
        items = schema.get("items", {})
        return [f for n, each in enumerate(value) for f in faults(each, items, whole, f"{at}[{n}]")]
    return faults_of_object(value, schema, whole, at) if kind == "object" else []


def faults_of_object(
    value: dict[str, Any], schema: dict[str, Any], whole: dict[str, Any], at: str
) -> list[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    if known:
        found += [f"{at}: {name} is not described" for name in value.keys() - known.keys()]
    for name, each in value.items():
        inner = known.get(name, more if isinstance(more, dict) else {})
        found += faults(each, inner, whole, f"{at}.{name}")
    return found


def test_every_call_is_described_and_nothing_else(described: dict[str, Any]):
    served = {(call.path, call.method.lower()) for call in CALLS} | {("/api/v1/session", "post")}
    found = {(path, method) for path, calls in described["paths"].items() for method in calls}
    assert found == served
    names = [
        call["operationId"] for calls in described["paths"].values() for call in calls.values()
    ]
    assert len({*names}) == len(names)
    for calls in described["paths"].values():
        for call in calls.values():
            assert call["summary"].endswith(".") or ";" in call["summary"]


def test_every_schema_that_is_named_is_there(described: dict[str, Any]):
    def references(found: Any) -> set[str]:
        if isinstance(found, dict):
            own = {found["$ref"]} if "$ref" in found else set[str]()
            return own.union(*(references(each) for each in found.values()))
        return set[str]().union(*map(references, found)) if isinstance(found, list) else set()

    schemas = described["components"]["schemas"]
    assert references(described) <= {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v1/films", ""),
        ("/api/v1/films/{key}", ""),
        ("/api/v1/films/{key}/lines", "?lang=es"),
        ("/api/v1/films/{key}/edits/{lang}", ""),
        ("/api/v1/films/{key}/cast", ""),
    ],
)
def test_answers_are_as_described(
    client: TestClient, described: dict[str, Any], path: str, asked: str
):
    answers = described["paths"][path]["get"]["responses"]
    address = path.format(key=KEY, lang="es") + asked
    told = client.get(address)
    assert told.status_code == 200
    schema = answers["200"]["content"]["application/json"]["schema"]
    assert faults(told.json(), schema, described) == []
    refused = client.get(address.replace(KEY, "other-01234567").replace("es", "zz"))
    if refused.status_code != 200:
        schema = answers["default"]["content"]["application/json"]["schema"]
        assert faults(refused.json(), schema, described) == []


def test_the_checker_sees_what_is_not_described(described: dict[str, Any]):
    schema = described["components"]["schemas"]["Making"]
    assert faults({"progress": 0.5}, schema, described) == []
    assert faults({}, schema, described)
    assert faults({"progress": "x"}, schema, described)
    assert faults({"progress": 0.5, "more": 1}, schema, described)


def test_required_parameters_are_required(client: TestClient, described: dict[str, Any]):
    lines = described["paths"]["/api/v1/films/{key}/lines"]["get"]["parameters"]
    needed = {each["name"] for each in lines if each["required"]}
    assert needed == {"key", "lang"}
    assert client.get(f"/api/v1/films/{KEY}/lines").status_code == 422
