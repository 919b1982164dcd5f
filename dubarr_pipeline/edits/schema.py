"""JSON schema of a file of edits, from the table of fields; ``edits.schema.json`` is its copy."""

from typing import Any

from pydantic import TypeAdapter

from dubarr_pipeline.edits.model import FIELDS, TARGETS, Anchor, Fact


def edits_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of ``edits/{language}.json``."""
    fact = TypeAdapter(Fact).json_schema(ref_template="#/$defs/{model}")
    definitions = {"Anchor": TypeAdapter(Anchor).json_schema()}
    values: list[dict[str, Any]] = []
    for name, rule in FIELDS.items():
        value = rule.value.json_schema(ref_template="#/$defs/{model}")
        definitions |= value.pop("$defs", {})
        where = {"any": "any language", "dub": "a target", "source": "the source"}[rule.where]
        values.append(
            {
                "if": {"properties": {"field": {"const": name}}},
                "then": {
                    "description": f"In the file of {where}.",
                    "properties": {
                        "target": {"enum": list(rule.targets)},
                        "value": {"anyOf": [value, {"type": "null"}]},
                    },
                },
            }
        )
    fact.pop("$defs", None)
    fact["properties"] |= {"target": {"enum": list(TARGETS)}, "field": {"enum": list(FIELDS)}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Edits of one language of a film",
        "type": "object",
        "required": ["schema", "revision", "facts"],
        "properties": {
            "schema": {"const": 2},
            "revision": {"type": "integer", "minimum": 0},
            "facts": {"type": "array", "items": {**fact, "allOf": values}},
        },
        "$defs": definitions,
    }
