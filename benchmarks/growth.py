"""How the cost of files that somebody else may write grows: CPU for twice as much, against once.

Twice as many cues, named speakers or paths of a webhook may cost a little more than twice as much;
anything that compares each with each would cost four times.

    python benchmarks/growth.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, peak_mb, show
from numpy.typing import NDArray

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.engines.diarization.cue_clusters import CueClusters
from dubarr_pipeline.library.webhooks.inbox import WebhookIntake
from dubarr_pipeline.media.subtitles.parse import Cue, parse_cues
from dubarr_pipeline.script.cues.layout import SoundClock, lay_out
from dubarr_pipeline.spans import Span

RATE = 16_000
REPEATS = 3
Work = Callable[[int, Path], Callable[[], object]]
"""Takes a size and an empty folder; returns the work, ready to be measured."""


class Hum:
    """A voiced sound of any length that is made as it is read."""

    rate, channels = RATE, 1

    def __init__(self, samples: int) -> None:
        self.samples = samples
        clock = np.arange(8 * RATE) / RATE
        pitch = 140 + 20 * np.sin(clock)
        voice = sum(np.sin(2 * np.pi * n * pitch * clock) / n for n in range(1, 12))
        hiss = np.random.default_rng(1).standard_normal(clock.size)
        self._sound = (0.05 * voice + 0.002 * hiss).astype(np.float32)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._sound[np.arange(start, stop) % self._sound.size][None]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02},000"


def cues(count: int, _: Path) -> Callable[[], object]:
    text = "\n".join(
        f"{n}\n{clock(3 * n)} --> {clock(3 * n + 2)}\nThis is line {n} of the film.\n"
        for n in range(count)
    )
    film = SoundClock(RATE, 3 * count * RATE)

    def read() -> object:
        found = [
            Cue(Span(each.start_ms * 16, each.end_ms * 16), each.text)
            for each in parse_cues(text, "srt")
        ]
        return lay_out(found, [cue.span for cue in found], film)

    return read


def speakers(count: int, _: Path) -> Callable[[], object]:
    sound = Hum(3 * count * RATE)
    spans = [Span(3 * n * RATE, (3 * n + 2) * RATE) for n in range(count)]
    names = [
        f"NAME {chr(65 + n % 26)}{chr(65 + n // 26 % 26)}{chr(65 + n // 676)}" for n in range(count)
    ]
    said = [Cue(span, f"{name}: These are words.") for span, name in zip(spans, names, strict=True)]
    return lambda: CueClusters().diarize(sound, spans, said)


def paths(count: int, folder: Path) -> Callable[[], object]:
    (folder / "films").mkdir()
    config = folder / "dubarr.toml"
    config.write_text(f'[libraries.films]\npath = "{folder}/films"\ntarget_langs = ["es"]\n')
    intake = WebhookIntake(load_settings(config, folder / "work"))
    body = json.dumps({"paths": [f"{folder}/films/{n}.mkv" for n in range(count)]}).encode()
    return lambda: intake.take("generic", body)


KINDS: dict[str, tuple[Work, int]] = {
    "cues": (cues, 10_000),
    "named speakers": (speakers, 1_000),
    "paths of a webhook": (paths, 1_000),
}
"""Kind -> its work, and the larger of the two sizes."""


def cost_s(work: Work, count: int) -> float:
    """Return the least CPU seconds of some repeats."""
    taken: list[float] = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            ready = work(count, Path(folder))
            began = time.process_time()
            ready()
            taken.append(time.process_time() - began)
    return min(taken)


def measure(share: float) -> Iterator[Row]:
    for name, (work, most) in KINDS.items():
        large = round(most * share)
        twice, once = cost_s(work, large), cost_s(work, large // 2)
        floor = f"{large // 2:,} cost {once:.2f} CPU s, {large:,} {twice:.2f}"
        yield Row(f"twice as many {name}", twice / once, "x", 3.0, 2.2, floor=floor)
    yield Row("peak memory", peak_mb(), "MB", 1024, 400, floor="the whole process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the sizes")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    show(measure(0.2 if options.quick else 1.0), as_json=options.json)


if __name__ == "__main__":
    main()
