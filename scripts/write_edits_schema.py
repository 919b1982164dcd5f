"""Write dubarr_pipeline/edits/edits.schema.json from the table of fields."""

import json
from pathlib import Path

from dubarr_pipeline.edits.schema import edits_schema

TARGET = Path(__file__).resolve().parents[1] / "dubarr_pipeline" / "edits" / "edits.schema.json"

if __name__ == "__main__":
    TARGET.write_text(json.dumps(edits_schema(), indent=1) + "\n", encoding="utf-8")
