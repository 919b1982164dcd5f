"""A Whisper and a language model that know the demo video by heart.

The Whisper recites the first eight lines with their times, in every passage that it hears; the
language model has notes on the script, a style guide, and three versions of every line.
"""

from __future__ import annotations

import json
from pathlib import Path

from dubarr_pipeline.demo import scene
from dubarr_pipeline.demo.sound import soundtrack
from dubarr_pipeline_tests.fakes.tiny import llm, whisper

RECITED_LINES = 8
"""The ninth ends later than the 28 s after the first's start that are heard in one go."""
SYNOPSIS = "Three people in a harbour see a light on an island, and set out to help."
_PAD_S = 0.15
"""Speech detection begins so much before the first word."""
_SPANISH = (
    "Buenos días, Martin. Nos hace falta un bote.",
    "Buenos días, Anna. La mar está en calma y tengo un bote.",
    "Yo quiero ver la isla contigo, de verdad.",
    "No, Tom. La isla es muy peligrosa por la noche.",
    "¡Pero si ella siempre dice que no!",
    "¡Silencio! Escucho una campana.",
    "Hay una luz en la isla. Alguien necesita ayuda.",
    "Tengo una cuerda y una lámpara azul.",
    "¡Gracias, Martin! Ahora podemos ayudar.",
)


def build(folder: Path) -> Path:
    """Make ``whisper`` and ``llm`` in a folder."""
    folder.mkdir(parents=True)
    whisper.build(folder / "whisper", _script())
    llm.build(folder / "llm", _replies())
    return folder


def _script() -> whisper.Script:
    spans = soundtrack().lines[:RECITED_LINES]
    zero = spans[0].start / scene.RATE - _PAD_S
    words = [
        whisper.evenly(line.text, span.start / scene.RATE - zero, span.end / scene.RATE - zero)
        for line, span in zip(scene.LINES, spans, strict=False)
    ]
    return whisper.Script(tuple(word for line in words for word in line))


def _replies() -> tuple[llm.Reply, ...]:
    notes = {"synopsis": SYNOPSIS, "tone": "calm, then urgent"}
    style = {"style_guide": "Plain spoken Spanish."}
    drafts = [
        {"id": number, "short": text.replace("muy ", ""), "normal": text, "long": _longer(text)}
        for number, text in enumerate(_SPANISH)
    ]
    return (
        llm.Reply(("How many days has a week",), '{"answer": 7}'),
        llm.Reply(("You read the script of a film",), json.dumps(notes)),
        llm.Reply(("Say how to translate",), json.dumps(style)),
        llm.Reply(
            ('"target_language": "es"', '"lines"'),
            json.dumps({"lines": drafts}, ensure_ascii=False),
        ),
        llm.Reply(("You fit dubbed film dialogue",), '{"text": "Bueno, ya veremos."}'),
        llm.Reply((), "I do not know what to say to that."),
    )


def _longer(text: str) -> str:
    return f"{text[:-1]}, ya ves{text[-1]}"
