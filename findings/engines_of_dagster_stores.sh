#!/usr/bin/env bash
# Dagster's store in SQLite files gets a new SQLAlchemy engine for nearly every statement, so that none of
# them is compiled once and used again; and at every look at a database Alembic's directory of migration
# scripts is made anew, which runs every script of the package to find the newest.
# Versions: dagster 1.13.27, sqlalchemy 2.1.9, alembic 1.20.1.
# Seen, a new home and then one run of a job with a single op: 44 engines and 7 directories until the
# store is there, 31 engines more for the run. It fails below 20, 5 and 20.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27 sqlalchemy==2.1.9 alembic==1.20.1
FOLDER="$folder" "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import os
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import sqlalchemy
from alembic.script import ScriptDirectory

made = Counter()


def counting(kind: type, name: str) -> None:
    begin = kind.__init__

    def __init__(self, *arguments, **options):
        made[name] += 1
        begin(self, *arguments, **options)

    kind.__init__ = __init__


counting(sqlalchemy.Engine, "engines")
counting(ScriptDirectory, "directories")


@dg.op
def work() -> None: ...


@dg.job
def film() -> None:
    work()


home = Path(os.environ["FOLDER"], "home")
home.mkdir()
(home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
with dg.DagsterInstance.from_config(str(home)) as store:
    store.get_runs(limit=1)
    opened = Counter(made)
    assert film.execute_in_process(instance=store).success
for package in ("dagster", "sqlalchemy", "alembic"):
    print(package, version(package))
print(f"to open a new store: {opened['engines']} engines, {opened['directories']} directories")
print(f"for a run of one op: {made['engines'] - opened['engines']} engines")
assert opened["engines"] > 20, "fewer engines to open a store"
assert opened["directories"] > 5, "the scripts are not read at every look any more"
assert made["engines"] - opened["engines"] > 20, "engines are kept now"
PYTHON
