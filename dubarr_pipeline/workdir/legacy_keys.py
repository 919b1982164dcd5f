"""Keys and facts as version 0.1.0 wrote them before they became canonical.

Finished films and journals of that time are taken over with this module: it turns the facts in
their manifests into canonical ones, and computes the two old keys that held a repr. Everything here
is frozen: the classes named below may be renamed or gone by now. It may be removed one release
after 0.1.0; a film that no run has remade by then is dubbed once more, with its takes and edits.
"""

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from typing import Any

from dubarr_pipeline.workdir.canonical import canonical, canonical_json

_FRACTION = re.compile(r"-?\d+/\d+")
_OPTIONS = re.compile(r"\b[A-Z]\w*Options\(")


def canonical_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest's old facts in their canonical form; damaged ones as they are."""
    try:
        found: dict[str, Any] = {}
        for name, value in facts.items():
            if isinstance(value, Mapping):
                usual = next((d for d in _DEFAULTS.values() if d.keys() == value.keys()), None)
                found[name] = canonical(value) if usual is None else _lean(value, usual)
            else:
                is_text = isinstance(value, str)
                found[name] = _canonical_identity(value) if is_text else canonical(value)
        return found
    except (ArithmeticError, RecursionError, TypeError, ValueError):
        return dict(facts)


def verdict_text(verdict: Any) -> str | None:
    """Return what an old line key held of the verdict's options; None: it could not hold them."""
    full = _filled(canonical(verdict), _DEFAULTS["ProductionOptions"]["verdict"])
    if full is None:
        return None
    named = [f"{name}={_exact(value)!r}" for name, value in full.items()]
    return f"VerdictOptions({', '.join(named)})"


def track_fingerprint(code_version: str, facts: Mapping[str, Any]) -> str | None:
    """Return a mixed track's old fingerprint; None: old options could not say the same."""
    options = _filled(canonical(facts["options"]), _DEFAULTS["MixOptions"])
    if options is None:
        return None
    document = json.dumps(["track", code_version, {**facts, "options": options}], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def _canonical_identity(text: str) -> str:
    """Replace the repr of an engine's options in its identity."""
    start = _OPTIONS.search(text)
    if start is None:
        return text
    for end in (at.end() for at in re.finditer(r"\)", text)):
        try:
            call = ast.parse(text[start.start() : end], mode="eval").body
        except SyntaxError:
            continue
        name = text[start.start() : start.end() - 1]
        if end > start.end() and name in _DEFAULTS:
            lean = canonical_json(_lean(_parsed(call), _DEFAULTS[name]))
            return text[: start.start()] + lean + _canonical_identity(text[end:])
    return text


def _parsed(node: ast.expr) -> Any:
    """Read a repr, options as tables. Raises `ValueError` for what they never held."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        values = [_parsed(each) for each in node.args]
        if node.func.id in ("Fraction", "Decimal"):
            return {"Fraction": Fraction, "Decimal": Decimal}[node.func.id](*values)
        if values:
            return values[0]
        return {each.arg: _parsed(each.value) for each in node.keywords}
    if isinstance(node, ast.Tuple | ast.List):
        return [_parsed(each) for each in node.elts]
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return float(node.id)
    return ast.literal_eval(node)


def _lean(table: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what stands at its default."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        usual = default.get(name, ...)
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            if lean := _lean(value, usual):
                found[name] = lean
        elif usual is ... or canonical(_exact(value, usual)) != canonical(_exact(usual)):
            found[name] = canonical(_exact(value, usual))
    return found


def _filled(lean: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any] | None:
    """Put the defaults back in; None if there is an option that was not there then."""
    if lean.keys() - default.keys():
        return None
    full: dict[str, Any] = dict(default)
    for name, value in lean.items():
        usual = default[name]
        if not isinstance(usual, Mapping):
            full[name] = float(value) if isinstance(usual, float) else _exact(value, usual)
        elif (nested := _filled(value, usual)) is None:
            return None
        else:
            full[name] = nested
    return full


def _exact(value: Any, usual: Any = None) -> Any:
    """Return a fraction that was written as text as the number that it is."""
    model = value if usual is None else usual
    if isinstance(model, str) and _FRACTION.fullmatch(model):
        return Fraction(value)
    return value


_DEFAULTS: Mapping[str, Mapping[str, Any]] = json.loads(
    resources.files("dubarr_pipeline.workdir").joinpath("legacy_defaults.json").read_text("utf-8")
)
"""Options by their old class names, at their defaults, in the old order and form."""
