"""How well spoken lengths are predicted before synthesis, against real espeak durations.

For each language: the mean absolute error after 0, 5, 10 and 20 lines of a voice, on lines it has
not heard, for takes as espeak speaks them and for takes that vary by 8 % as neural voices' do.
Texts: the subtitles in ../shared/media/text where they are, and sentences made up here.

    python benchmarks/length.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import math
import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

from figures import Row, show

from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer, phoneme_count
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.timing.length_model import LengthModel

SUBTITLES = Path(__file__).resolve().parents[2] / "shared" / "media" / "text"
LINES = (0, 5, 10, 20)
NOISE = 0.08
counted = cache(phoneme_count)
VOICE = Voice("SPEAKER_00", SpeakerProfile("SPEAKER_00", pitch_hz=120.0))

PARTS: dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "en": (
        ("The old captain", "My sister", "Nobody here", "Listen, the wind", "Your brother Thomas"),
        ("has forgotten", "will never find", "knows", "wanted to sell", "brought back"),
        (
            "the key to the tower.",
            "what we said, I think.",
            "a ship!",
            "twelve small boats, and bread.",
        ),
    ),
    "es": (
        ("El viejo capitán", "Mi hermana", "Nadie aquí", "Escucha, el viento", "Tu hermano Tomás"),
        ("ha olvidado", "nunca encontrará", "conoce", "quería vender", "ha traído"),
        ("la llave de la torre.", "lo que dijimos, creo.", "¡un barco!", "doce barcas, y pan."),
    ),
    "de": (
        ("Der alte Kapitän", "Meine Schwester", "Niemand hier", "Hör zu, der Wind", "Dein Bruder"),
        ("hat vergessen:", "findet niemals", "kennt", "verkaufte gestern", "brachte uns"),
        (
            "den Schlüssel zum Turm.",
            "was wir sagten, glaube ich.",
            "ein Schiff!",
            "zwölf Boote, und Brot.",
        ),
    ),
    "fr": (
        ("Le vieux capitaine", "Ma sœur", "Personne ici", "Écoute, le vent", "Ton frère Thomas"),
        ("a oublié", "ne trouvera jamais", "connaît", "voulait vendre", "a rapporté"),
        (
            "la clé de la tour.",
            "ce que nous disions, je crois.",
            "un navire !",
            "douze barques, et du pain.",
        ),
    ),
    "it": (
        ("Il vecchio capitano", "Mia sorella", "Nessuno qui", "Ascolta, il vento", "Tuo fratello"),
        ("ha dimenticato", "non troverà mai", "conosce", "voleva vendere", "ha riportato"),
        (
            "la chiave della torre.",
            "quello che dicevamo, credo.",
            "una nave!",
            "dodici barche, e pane.",
        ),
    ),
    "pt-BR": (
        ("O velho capitão", "Minha irmã", "Ninguém aqui", "Escute, o vento", "Seu irmão Tomás"),
        ("esqueceu", "nunca encontrará", "conhece", "queria vender", "trouxe de volta"),
        ("a chave da torre.", "o que dissemos, acho.", "um navio!", "doze barcos, e pão."),
    ),
    "ca": (
        ("El vell capità", "La meva germana", "Ningú d'aquí", "Escolta, el vent", "El teu germà"),
        ("ha oblidat", "no trobarà mai", "coneix", "volia vendre", "ha portat"),
        ("la clau de la torre.", "el que dèiem, crec.", "un vaixell!", "dotze barques, i pa."),
    ),
    "ru": (
        ("Старый капитан", "Моя сестра", "Никто здесь", "Слушай, ветер", "Твой брат Фома"),
        ("забыл", "никогда не найдёт", "знает", "хотел продать", "принёс назад"),
        (
            "ключ от башни.",
            "то, что мы сказали, наверное.",
            "корабль!",
            "двенадцать лодок, и хлеб.",
        ),
    ),
}
"""Openings, verbs and objects of made-up lines; sense does not matter, sounds do."""


def texts(language: str, count: int) -> list[str]:
    """Lines of a language: subtitles first, made-up ones to fill up; always the same ones."""
    chance = random.Random(f"{language} lines")
    found = _subtitle_lines(language)
    openings, verbs, objects = PARTS[language]
    made = [f"{o} {v} {b}" for o in openings for v in verbs for b in objects]
    made += [f"{o} {b}" for o in openings for b in objects] + [
        f"{v} {b}" for v in verbs for b in objects
    ]
    made += [f"{a} {c} {d}" for a, c, d in zip(made[:60], made[60:], made[30:], strict=False)]
    chance.shuffle(found)
    chance.shuffle(made)
    return [*found[: count // 2], *made][:count]


def _subtitle_lines(language: str) -> list[str]:
    path = SUBTITLES / f"sintel-{language}.vtt"
    if not path.is_file():
        return []
    blocks = path.read_text(encoding="utf-8-sig").replace("\r", "").split("\n\n")
    cues = [block.split("\n") for block in blocks if "-->" in block]
    bodies = [
        [row for row in cue if "-->" not in row and not row.strip().isdigit()] for cue in cues
    ]
    lines = [re.sub(r"<[^>]*>|[-\[\]()]", " ", " ".join(body)).strip() for body in bodies]
    return sorted({line for line in lines if any(c.isalpha() for c in line)})


def spoken(language: str, count: int) -> list[tuple[str, float]]:
    """Texts and the seconds that espeak really takes for them."""
    with EspeakSynthesizer() as espeak:
        return [
            (text, espeak.natural_s(SpeechRequest(text, language, VOICE)))
            for text in texts(language, count)
        ]


def errors(
    takes: Sequence[tuple[str, float]], language: str, known: int, noise: float
) -> list[float]:
    """Relative errors on lines not heard before, after `known` others, in several orders."""
    found: list[float] = []
    for turn in range(4):
        chance = random.Random(f"{turn} {noise}")
        heard = [(text, s * math.exp(chance.gauss(0, noise))) for text, s in takes]
        chance.shuffle(heard)
        model = LengthModel(counted)
        for text, seconds in heard[:known]:
            model.observe((text, language, "voice"), seconds)
        snapshot = model.snapshot()
        for text, seconds in heard[max(LINES) :]:
            found.append(abs(snapshot.predict(text, language, "voice") / seconds - 1))
    return found


def measure(languages: Sequence[str], count: int) -> list[Row]:
    rows: list[Row] = []
    after_ten: dict[float, list[float]] = {0.0: [], NOISE: []}
    for language in languages:
        takes = spoken(language, count)
        for noise, kind in ((0.0, "espeak"), (NOISE, "espeak with 8 % noise")):
            for known in LINES:
                found = errors(takes, language, known, noise)
                must, target = (12.0, 8.0) if known >= 10 else (None, None)
                name = f"length error, {language}, {kind}, after {known} lines"
                rows.append(_row(name, 100 * fmean(found), must, target))
                if known == 10:
                    after_ten[noise] += found
    rows.append(
        _row("length error, all, espeak, after 10 lines", 100 * fmean(after_ten[0.0]), 12, 8)
    )
    noisy = 100 * fmean(after_ten[NOISE])
    rows.append(_row("length error, all, espeak with 8 % noise, after 10 lines", noisy, 12, 8))
    return rows


def _row(name: str, value: float, must: float | None, target: float | None) -> Row:
    floor = "espeak's own lengths of lines not heard before (8 % noise alone costs 6.4 %)"
    return Row(name, round(value, 2), "%", must, target, "lower", floor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="two languages, fewer lines")
    options = parser.parse_args()
    languages = ["en", "es"] if options.quick else list(PARTS)
    rows = measure(languages, 60 if options.quick else 120)
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
