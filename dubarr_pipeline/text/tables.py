"""Tables of words and rules, kept as TOML beside the code that reads them."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def read_table(package: str, name: str) -> dict[str, Any]:
    """Return the file ``{name}.toml`` of a package of ours; read once, not to be changed."""
    return tomllib.loads(files(package).joinpath(f"{name}.toml").read_text("utf-8"))
