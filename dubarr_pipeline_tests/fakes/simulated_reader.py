"""What the pretended LLM answers when it is asked to read a script: facts by rule, none invented.

Every line of a part says its number, speaker and text. The answers name all speakers, take names
from within sentences, and put right a "teh" that was heard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FORMS = {"es": ("tú", "usted"), "ca": ("tu", "vostè"), "fr": ("tu", "vous"), "de": ("du", "Sie")}


def reads(told: Mapping[str, Any]) -> bool:
    """Whether a question is one of the reader of the script."""
    return any(name in told for name in ("just_before", "parts", "relations", "terms"))


def answer(told: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What was asked for, in a word or two, and the reply."""
    if "just_before" in told:
        lines = [str(line).split("|", 2) for line in told["lines"]]
        return f"part {lines[0][0]}-{lines[-1][0]}", _notes(lines)
    if "parts" in told:
        return f"reduce {len(told['parts'])}", _digest(told["parts"])
    language = str(told["target_language"])
    if "terms" in told:
        return f"terms {language}", {"terms": [_rendered(t, language) for t in told["terms"]]}
    return f"style {language}", _style(told["relations"], language)


def _notes(lines: list[list[str]]) -> dict[str, Any]:
    speakers = sorted({who for _, who, _ in lines})
    pairs = [(a, b) for a in speakers for b in speakers if a != b]
    names = {
        name for _, _, text in lines for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}", text)
    }
    misheard = [(n, text) for n, _, text in lines if re.search(r"\bteh\b", text)]
    return {
        "synopsis": f"Lines {lines[0][0]} to {lines[-1][0]} are spoken.",
        "tone": "plain",
        "people": [_person(who) for who in speakers],
        "relations": [
            {"speaker": a, "to": b, "relation": "they talk", "manner": "polite"} for a, b in pairs
        ],
        "terms": [{"source": name, "kind": "name"} for name in sorted(names)],
        "edits": [
            {
                "id": int(n),
                "text": re.sub(r"\bteh\b", "the", text),
                "reason": "misheard",
                "confidence": "high",
            }
            for n, text in misheard
        ],
    }


def _person(who: str) -> dict[str, Any]:
    gender = "female" if who.endswith(("1", "3", "5", "7", "9")) else "male"
    return {"speaker": who, "gender": gender, "age_group": "adult", "role": f"role of {who}"}


def _digest(parts: list[dict[str, Any]]) -> dict[str, Any]:
    people = {person["speaker"]: person for part in parts for person in part["people"]}
    synopsis = " ".join(part["synopsis"] for part in parts)
    return {"synopsis": synopsis[:3000], "tone": "plain", "people": list(people.values())}


def _rendered(term: Mapping[str, str], language: str) -> dict[str, str]:
    return {"source": term["source"], "rendering": term["source"], "say": f"{language}-say"}


def _style(relations: list[dict[str, str]], language: str) -> dict[str, Any]:
    familiar, polite = _FORMS.get(language, ("familiar", "polite"))
    return {
        "style_guide": f"Speak plain {language}.",
        "addresses": [
            {
                "speaker": r["speaker"],
                "to": r["to"],
                "form": polite if r["manner"] == "polite" else familiar,
            }
            for r in relations
        ],
    }
