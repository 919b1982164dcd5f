from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from dubarr_pipeline.edits.model import FIELDS
from dubarr_pipeline.edits.schema import edits_schema

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_schema_is_that_of_the_fields():
    shipped = files("dubarr_pipeline.edits").joinpath("edits.schema.json").read_text("utf-8")
    assert json.loads(shipped) == edits_schema(), "run scripts/write_edits_schema.py"


def test_every_field_stands_on_the_page():
    page = (ROOT / "docs" / "edits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.M)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(FIELDS)


def test_every_reference_leads_somewhere():
    schema = edits_schema()
    named = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert named == set(schema["$defs"])
