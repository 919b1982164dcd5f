"""How dear an edit is: one line of a finished film with two languages, against its first making.

python benchmarks/edit.py                  2 h of stereo, 2,000 lines
python benchmarks/edit.py --minutes 45 --lines 800 --channels 6
python benchmarks/edit.py --quick          five minutes, the same work
python benchmarks/edit.py --weights FOLDER --film ../shared/media/film/four_voices_clean.mkv

The first making is the mix of both languages with their proofs, and the mux; the stages before it,
which an edit does not touch, are left out, so that the shares are rather too high. CPU is user and
system time, our tools' too.

With FOLDER, which holds ``kokoro``, "hear it" is measured instead, through the review server's own
calls: another wording of each line, spoken by a warm voice and mixed with 3 s around it. The film
has English subtitles, and is dubbed by `lite` with Kokoro's voices.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, peak_mb, show
from sound import RATE, TAKE_RATE, Film, cost_of, make_film, placed_takes, windows_of

from dubarr_pipeline import dub
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.mix.mix import ProvenTrack, mix_and_prove
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix.remix import remix
from dubarr_pipeline.media.mix.state import KeptMix, keep_mix, read_mix
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline_tests.fixtures.review_film import backstage, client_of

LANGUAGES = ("es", "ca")
SHARE_MUST, SHARE_TARGET = 0.10, 0.03
OPTIONS = MixOptions()
HEARD_S, AROUND_S = 1.0, 3.0
"""Bound of "hear it", and what is heard around the line."""


class Studio:
    """A film in a folder, its takes, and its tracks in both languages."""

    def __init__(self, folder: Path, film: Film) -> None:
        make_film(folder, film)
        self.folder, self.film = folder, film
        windows = windows_of(film)
        kept = tuple(windows[5::50])
        self.takes = [take for take in placed_takes(folder, windows) if take.window not in kept]
        loudness = Loudness(**json.loads((folder / "loudness.json").read_text()))
        stems = folder / "accompaniment.wav", folder / "vocals.wav"
        self.sources = MixSources(*stems, tuple(windows), kept, loudness)

    def track(self, language: str) -> Path:
        return self.folder / f"final_{language}.ac3"

    def state(self, language: str) -> Path:
        return self.folder / f"{language}.npz"

    def keep(self, language: str, made: ProvenTrack, sounds: list[str]) -> None:
        digest = identify(self.track(language)).digest
        kept = KeptMix(made, tuple(self.takes), tuple(sounds), digest)
        keep_mix(self.state(language), kept)

    def sounds(self) -> list[str]:
        return [identify(take.path).digest for take in self.takes]

    def mix_all(self) -> None:
        for language in LANGUAGES:
            made = mix_and_prove(self.sources, self.takes, self.track(language), OPTIONS)
            self.keep(language, made, self.sounds())

    def edit(self, number: int, take: PlacedTake) -> ProvenTrack:
        """Do what the stage does when a line of the first language has changed."""
        # The other language is looked at, and left as it is.
        self.sounds()
        self.takes[number] = take
        sounds = self.sounds()
        known = read_mix(self.state("es"), self.sources, OPTIONS)
        assert known
        made = remix(self.sources, self.takes, sounds, self.track("es"), known)
        assert made, "the whole would have been mixed"
        self.keep("es", made, sounds)
        return made

    def mux(self) -> None:
        tracks = [DubTrack(self.track(language), language) for language in LANGUAGES]
        mux(self.folder / "film.mkv", tracks, [], self.folder / "final.mkv")

    def other_take(self, number: int) -> PlacedTake:
        """Return a take of 0.9 of the line's length at another pitch, a little late."""
        take, path = self.takes[number], self.folder / "other.wav"
        size = round(0.9 * take.window.length / RATE * TAKE_RATE)
        t = np.arange(size) / TAKE_RATE
        sound = 0.2 * np.sin(2 * np.pi * 210 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
        write_wave(path, sound.astype(np.float32), TAKE_RATE)
        return replace(take, path=path, start=take.start + RATE // 20)


def measure(film: Film) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="dubarr-edit-") as place:
        studio = Studio(Path(place), film)
        mixes = cost_of(studio.mix_all).cpu_s
        muxing = cost_of(studio.mux).cpu_s
        first = studio.track("es").read_bytes()
        number = len(studio.takes) // 2
        before, made = studio.takes[number], list[ProvenTrack]()
        edit = cost_of(lambda: made.append(studio.edit(number, studio.other_take(number)))).cpu_s
        again = cost_of(studio.mux).cpu_s
        name = f"one line, {film.name}, two languages"
        floor = f"{edit:.2f} s of CPU; both mixes with proofs {mixes:.1f}"
        yield Row(f"{name}: mix", edit / mixes, "x", SHARE_MUST, SHARE_TARGET, floor=floor)
        floor = f"one mux: {again:.2f} s of CPU; the first {muxing:.2f}"
        whole = (edit + again) / (mixes + muxing)
        yield Row(f"{name}: mix and mux", whole, "x", floor=floor)
        miss = abs(made[0].mixed.report.miss_lu)
        yield Row(f"{name}: loudness, off the source by", miss, "LU", 1.0, 0.2)
        studio.edit(number, before)
        same = studio.track("es").read_bytes() == first
        yield Row(f"{name}: undone, other bytes than at first", float(not same), "", 0, 0)
        yield Row("peak memory", peak_mb(), "MB", 1024, 400, floor="the whole process")


def hear(weights: Path, film: Path) -> Iterator[Row]:
    """Speak another wording of every line of a film, one after another."""
    with tempfile.TemporaryDirectory(prefix="dubarr-hear-") as place:
        work, config = Path(place, "work"), Path(place, "dubarr.toml")
        source = Path(shutil.copy(film, place))
        name = film.stem.removesuffix("_clean").removesuffix("_music")
        shutil.copy(film.with_name(f"{name}.en.srt"), source.with_suffix(".en.srt"))
        model = weights.absolute() / "kokoro"
        config.write_text(f'[synthesis]\nengine = "kokoro"\nmodel = "{model}"\n')
        key = dub(source, ("es",), work_dir=work, config=config).report.parent.name
        room = ReviewRoom(load_settings(config, work), backstage())
        client, address = client_of(room), f"/api/v1/films/{key}"
        lines = client.get(f"{address}/lines", params={"lang": "es"}).json()["lines"]
        lines = [line for line in lines if line["outcome"] == "placed"]
        waited, spent, spoken, mixed = ([], [], [], [])
        for line in lines:
            wish = {"lang": "es", "text": f"Oye: {line['text']}"}
            began, used = time.perf_counter(), time.process_time()
            told = client.post(f"{address}/lines/{line['id']}/try", json=wish).json()
            said = time.perf_counter()
            told_sound = client.get(f"{told['sound']}&pad={AROUND_S:g}")
            assert told_sound.status_code == 200, told_sound.text
            mixed.append(time.perf_counter() - said)
            waited.append(time.perf_counter() - began)
            spent.append(time.process_time() - used)
            spoken.append(told["take"]["duration_s"])
        room.close()
        first, waited, spent = waited[0], waited[1:], spent[1:]
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        of = f"of {len(waited)} lines of {median(spoken):.1f} s; {load}"
        yield Row("hear it, Kokoro: median", median(waited), "s", HEARD_S, 0.7, floor=of)
        yield Row("hear it: nine of ten within", float(np.quantile(waited, 0.9)), "s")
        yield Row("hear it: CPU, median", median(spent), "s")
        yield Row("hear it: the mix with 3 s around alone, median", median(mixed), "s")
        yield Row("hear it: first line, the voice loaded", first, "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="five minutes, 84 lines")
    parser.add_argument("--weights", type=Path, help='measure "hear it" with the voices there')
    parser.add_argument("--film", type=Path, help="the film whose lines are heard")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    if options.weights:
        if not options.film:
            parser.error("--weights needs --film")
        return show(hear(options.weights, options.film), as_json=options.json)
    film = Film(options.minutes, options.lines, options.channels)
    return show(measure(Film(5, 84, 2) if options.quick else film), as_json=options.json)


if __name__ == "__main__":
    main()
