"""The gate: planted faults held, clean films through, and what its language test takes for foreign.

python benchmarks/gate.py            208 films of each
python benchmarks/gate.py --quick    52 of each
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.library.gate import judge
from dubarr_pipeline.text.language_guess import foreign_language
from dubarr_pipeline_tests.fixtures.gated_films import ALIKE, clean_film, faulty_films, texts

LANGUAGES = ("en", "es", "fr", "pt-BR", "de", "it", "ca", "ja", "ru")


def rows(count: int) -> Iterator[Row]:
    """All figures, on so many films of each kind."""
    bounds, started = GateOptions(), time.process_time()
    held = 0
    for bound, film in faulty_films(count):
        gate = judge(film.figures(), None, bounds)
        held += gate.state == "held" and any(f"({bound} allows" in each for each in gate.reasons)
    films = [judge(clean_film(number).figures(), None, bounds) for number in range(count)]
    through = sum(gate.state == "passed" for gate in films)
    spent_ms = 1000 * (time.process_time() - started) / (2 * count)
    of = f"of {count}"
    yield Row("planted faults held, each for its reason", held, "films", count, count, "higher", of)
    yield Row("clean films through", through, "films", count, count, "higher", of)
    yield Row("CPU for a film's figures and judgement", spent_ms, "ms", 200, 50)
    pairs = [(source, target) for source in LANGUAGES for target in LANGUAGES if source != target]
    wrong = lines = found = others = 0
    for source, target in pairs:
        right = [*texts(target), *ALIKE]
        wrong += sum(bool(foreign_language(x, target, source)) for x in right)
        lines += len(right)
        theirs = [text for text in texts(source) if len(text) > 24]
        found += sum(bool(foreign_language(text, target, source)) for text in theirs)
        others += len(theirs)
    yield Row("right lines taken for foreign", wrong, "lines", 0, 0, floor=f"of {lines}")
    share = 100 * found / others
    yield Row("foreign lines of 25 letters found", share, "%", 70, 90, "higher", f"of {others}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    show(rows(52 if asked.quick else 208), as_json=asked.json)


if __name__ == "__main__":
    main()
