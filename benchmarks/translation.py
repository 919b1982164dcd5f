"""What the translators for laptops make of a hundred lines of dialogue (`translation_lines.toml`).

For each translator and target that is here: chrF of the likeliest or only wording and of the
shortest and longest offered, lines without a translation, CPU seconds a line, and memory gained.

    python benchmarks/translation.py [--bergamot FOLDER] [--m2m100 FOLDER] [--json]

A folder of Bergamot holds ``en-pt`` and others; without one, models are taken from the store.
"""

from __future__ import annotations

import argparse
import resource
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from figures import Row, peak_mb, show

from dubarr_pipeline.engines.interfaces import DraftBatch, LineToDraft, Translator
from dubarr_pipeline.engines.translation.apertium import ApertiumTranslator
from dubarr_pipeline.engines.translation.bergamot import BergamotOptions, BergamotTranslator
from dubarr_pipeline.engines.translation.m2m100 import M2M100Options, M2M100Translator
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.script.model import Context, Segment
from dubarr_pipeline.spans import Span

LINES = tomllib.loads(
    (Path(__file__).parent / "translation_lines.toml").read_text(encoding="utf-8")
)["lines"]
TARGETS = ("es", "fr", "pt-BR")
ORDER, BETA = 6, 2
"""Longest group of letters, and the weight of recall: as in chrF2 (Popović 2015)."""


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return the corpus chrF2 of translations, in per cent; blanks do not count."""
    scores: list[float] = []
    for size in range(1, ORDER + 1):
        hits = said = wanted = 0
        for text, reference in zip(texts, references, strict=True):
            ours, theirs = _groups(text, size), _groups(reference, size)
            hits += (ours & theirs).total()
            said += ours.total()
            wanted += theirs.total()
        precision, recall = hits / max(1, said), hits / max(1, wanted)
        low = BETA**2 * precision + recall
        scores.append((1 + BETA**2) * precision * recall / low if low else 0.0)
    return 100 * sum(scores) / ORDER


def _groups(text: str, size: int) -> Counter[str]:
    letters = "".join(text.split())
    return Counter(letters[at : at + size] for at in range(len(letters) - size + 1))


def batch(target: str, texts: Sequence[str]) -> DraftBatch:
    lines = tuple(
        LineToDraft(Segment(at, Span(at, at + 1), "SPEAKER_00", text), 2.0)
        for at, text in enumerate(texts)
    )
    return DraftBatch("en", target, lines, Context("", ""))


def measure(name: str, engine: Translator, target: str) -> Iterator[Row]:
    before_mb, children_s = peak_mb(), _children_s()
    with engine:
        # The first lines load and warm up.
        engine.draft(batch(target, [line[0] for line in LINES[:2]]))
        began_s = time.process_time()
        drafts = engine.draft(batch(target, [line[0] for line in LINES]))
        spent_s = time.process_time() - began_s
    # Programs are counted when they have ended, their start included.
    spent_s += _children_s() - children_s
    references = [line[1 + TARGETS.index(target)] for line in LINES]
    shortest = [draft.versions[0] if draft.versions else "" for draft in drafts]
    longest = [draft.versions[-1] if draft.versions else "" for draft in drafts]
    at = f"{name} en-{target}"
    yield Row(f"{at}: chrF of the shortest wordings", chrf(shortest, references), "")
    yield Row(f"{at}: chrF of the longest", chrf(longest, references), "")
    yield Row(f"{at}: wordings a line", sum(len(d.versions) for d in drafts) / len(drafts), "")
    yield Row(f"{at}: lines without one", sum(not d.versions for d in drafts), "of 100")
    yield Row(f"{at}: CPU a line", 1000 * spent_s / len(drafts), "ms")
    yield Row(f"{at}: memory gained", peak_mb() - before_mb, "MB")


def _children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def rows(bergamot: str, m2m100: str) -> Iterator[Row]:
    for target in TARGETS:
        pairs = (("en", target),)
        options = BergamotOptions(models=bergamot) if bergamot else BergamotOptions()
        engines: dict[str, Translator] = {
            "bergamot": BergamotTranslator((), pairs, options),
            "apertium": ApertiumTranslator(pairs),
        }
        if m2m100:
            engines["m2m100"] = M2M100Translator(M2M100Options(model=m2m100, threads=1))
        for name, engine in engines.items():
            if engine.serves("en", target) and all(need.present for need in engine.needs()):
                try:
                    yield from measure(name, engine, target)
                except DubbingError as error:
                    print(f"{name} en-{target}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bergamot", default="", help="folder with models such as en-pt")
    parser.add_argument("--m2m100", default="", help="folder with a CTranslate2 model")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    show(rows(asked.bergamot, asked.m2m100), as_json=asked.json)


if __name__ == "__main__":
    main()
