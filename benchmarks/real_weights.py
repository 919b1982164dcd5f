"""A voice worth listening to: the profile `laptop` on real weights, on a film of four known voices.

    python benchmarks/real_weights.py WEIGHTS [--film FOLDER] [--quick] [--keep FOLDER] [--json]

WEIGHTS holds ``whisper-base`` (CTranslate2) and ``kokoro`` (ONNX); FOLDER ``NAME_clean.mkv``,
``NAME_music.mkv`` and ``NAME.json``, a list of [start, end, speaker, words]. The film has no
subtitles. Its lines are translated by `four_voices.tsv`, so that no translator is measured here;
another film needs ``NAME.tsv`` beside it. What was spoken, when and by whom is known, and is
compared with what the pipeline wrote down; the engines alone are measured in the same run.

Without the weights or the film it says so, and ends with the exit code 3; with 1 if a figure is
below its "must".
"""

from __future__ import annotations

import argparse
import csv
import difflib
import itertools
import json
import re
import resource
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, show
from num2words import num2words

from dubarr_pipeline import dub, engines
from dubarr_pipeline.engines.interfaces import (
    Draft,
    DraftBatch,
    SpeechRequest,
    Synthesizer,
    Translator,
    Voice,
)
from dubarr_pipeline.engines.registry import build, engine_rows, option_type_of
from dubarr_pipeline.script.model import SpeakerProfile

NOT_HERE, BELOW = 3, 1
"""Exit codes."""
TARGETS = ("es", "fr", "pt")
FEMALE = ("ANNA", "EMMA")
"""The women of the film; a film of other people names them in its file of words, as ``female``."""
HEARD_HZ, LOST, AROUND_S = 16_000, 0.6, 2.0
"""A line of the dubbed track is lost beyond this share of wrong letters."""
LONGEST_RUN = 4
"""Sentences that a recognised line may hold."""
SENTENCES = re.compile(r"\S[^.!?]*[.!?]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was spoken: seconds, speaker, words."""

    start: float
    end: float
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Film:
    """A film, its lines, and the translations of each by language."""

    path: Path
    lines: tuple[Line, ...]
    translations: dict[str, tuple[str, ...]]
    female: tuple[str, ...]

    def sentences(self, target: str) -> list[tuple[str, str]]:
        """Return sentences with their translations; whole lines where their numbers differ."""
        pairs: list[tuple[str, str]] = []
        for line, translated in zip(self.lines, self.translations[target], strict=True):
            parts, others = SENTENCES.findall(line.text), SENTENCES.findall(translated)
            alike = len(parts) == len(others)
            pairs += zip(parts, others, strict=True) if alike else [(line.text, translated)]
        return pairs


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, numbers written out."""
    text = re.sub(r"\d+", lambda n: num2words(int(n[0])), text.lower().replace("’", "'"))
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text)


class KnownLines(Translator):
    """Translates the film's own lines, by what of them was recognised."""

    name: ClassVar[str] = "known-lines"
    film: ClassVar[Film]

    def identity(self) -> str:
        return "known-lines/1"

    def serves(self, source: str, target: str) -> bool:
        return source == "en" and target in self.film.translations

    def targets(self, source: str) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(self.film.translations)

    def draft(self, batch: DraftBatch) -> list[Draft]:
        return [
            Draft(line.segment.index, (self.translated(line.segment.text, batch.target),))
            for line in batch.lines
        ]

    def translated(self, text: str, target: str) -> str:
        """Return the translation of the run of sentences that the text is most like."""
        said, best, chosen = words(text), -1.0, ""
        pairs = self.film.sentences(target)
        ratio = difflib.SequenceMatcher(None, autojunk=False)
        ratio.set_seq2(said)
        for first in range(len(pairs)):
            for last in range(first + 1, min(first + LONGEST_RUN, len(pairs)) + 1):
                ratio.set_seq1([word for known, _ in pairs[first:last] for word in words(known)])
                if ratio.quick_ratio() > best and ratio.ratio() > best:
                    best = ratio.ratio()
                    chosen = " ".join(translated for _, translated in pairs[first:last])
        return chosen


def cpu_s() -> float:
    """Return the CPU seconds of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def edits(said: Sequence[str], known: Sequence[str]) -> int:
    """Return how many words must be changed, left out or put in: Levenshtein's distance."""
    row = np.arange(len(known) + 1)
    for count, word in enumerate(said, 1):
        changed = row[:-1] + np.array([word != other for other in known], int)
        best = np.minimum(changed, row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[count], best]) - np.arange(len(row))) + (
            np.arange(len(row))
        )
    return int(row[-1])


@dataclass(slots=True)
class Measured:
    """What the pipeline made of one film."""

    film: Film
    script: dict[str, Any]
    segments: dict[str, Any]
    cpu: float
    video: Path

    def recognised(self) -> list[dict[str, Any]]:
        return [s for s in self.script["segments"] if s["kind"] == "speech"]

    def word_error(self) -> float:
        said = [w for s in self.script["segments"] for w in words(s["text"])]
        known = [w for line in self.film.lines for w in words(line.text)]
        return 100 * edits(said, known) / len(known)

    def pairs(self) -> list[tuple[Line, dict[str, Any] | None]]:
        """Return each known line with the recognised one that covers most of it, if any."""

        def common(line: Line, found: dict[str, Any]) -> float:
            return min(line.end, found["end"]) - max(line.start, found["start"])

        found = self.recognised()
        best = [max(found, key=lambda s, line=line: common(line, s)) for line in self.film.lines]
        return [
            (line, each if common(line, each) > 0 else None)
            for line, each in zip(self.film.lines, best, strict=True)
        ]

    def speakers_of(self) -> dict[str, str]:
        """Return the film's name of each found speaker: the best one-to-one choice."""
        said: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for line, each in self.pairs():
            if each:
                said[each["speaker"]][line.speaker] += 1
        names, found = sorted({line.speaker for line in self.film.lines}), sorted(said)
        names += [f"nobody {n}" for n in range(len(found) - len(names))]
        ways = itertools.permutations(names, len(found)) if len(names) < 8 else [names]
        best = max(ways, key=lambda way: sum(said[f][n] for f, n in zip(found, way, strict=False)))
        return dict(zip(found, best, strict=False))

    def speakers_right(self) -> float:
        names = self.speakers_of()
        right = [each and names.get(each["speaker"]) == line.speaker for line, each in self.pairs()]
        return 100 * fmean(map(bool, right))

    def ends_off(self) -> list[float]:
        """Return by how many seconds recognised lines end after the known ones; last words only."""
        ends: dict[int, Line] = {}
        for line, each in self.pairs():
            if each:
                ends[each["index"]] = line
        by_index = {each["index"]: each for each in self.recognised()}
        return [by_index[index]["end"] - line.end for index, line in ends.items()]

    def lines(self, target: str) -> list[dict[str, Any]]:
        return self.segments["languages"][target]


def measure(film: Film, weights: Path, work: Path, targets: Sequence[str]) -> Measured:
    """Dub the film in this process, and read what the pipeline wrote."""
    KnownLines.film = film
    settings = work / "dubarr.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(
        'profile = "laptop"\n'
        f'[transcript]\nmodel = "{weights / "whisper-base"}"\n'
        '[translation]\nengine = "known-lines"\n'
        f'[synthesis]\nengine = "kokoro"\nmodel = "{weights / "kokoro"}"\n'
    )
    before = cpu_s()
    result = dub(film.path, targets, work_dir=work, config=settings)
    used = cpu_s() - before
    folder = result.report.parent
    read = {n: json.loads((folder / f"{n}.json").read_text()) for n in FILES}
    return Measured(film, read["transcription"], read["segments"], used, result.video)


FILES = ("transcription", "segments")


def film_rows(name: str, found: Measured, least_right: float) -> Iterator[Row]:
    """Yield what was recognised of a film."""
    yield Row(f"{name}: word error", found.word_error(), "%", 5, 3)
    right, target = found.speakers_right(), min(99.0, least_right + 5)
    yield Row(f"{name}: speaker of a line right", right, "%", least_right, target, "higher")
    ends = found.ends_off()
    yield Row(f"{name}: end of lines, median", abs(median(ends)), "s", 0.08, 0.05)
    yield Row(f"{name}: end of lines, 90 % within", float(np.quantile(np.abs(ends), 0.9)), "s")


def voice_rows(name: str, found: Measured, weights: Path, targets: Sequence[str]) -> Iterator[Row]:
    """Yield what was spoken for a film."""
    names = found.speakers_of()
    for target in targets:
        lines = [line for line in found.lines(target) if line["outcome"] != "kept_original"]
        placed = [line for line in lines if line["placement"]]
        tempo = [float(Fraction(line["placement"]["tempo"])) for line in placed]
        takes = [len(line["takes"]) for line in lines if line["takes"]]
        lost = [line for line in lines if "misspoken" in line["outcome"] + str(line["flags"])]
        lost += [line for line in unheard(found, target, weights) if line not in lost]
        at = f"{name}, {target}"
        yield Row(f"{at}: lines placed", 100 * len(placed) / len(lines), "%", 98, 100, "higher")
        yield Row(f"{at}: takes per line", fmean(takes), "takes", 1.05, 1.02)
        steady = 100 * fmean(0.9 <= each <= 1.1 for each in tempo)
        yield Row(f"{at}: tempo within 10 %", steady, "%", 97, 99, "higher")
        yield Row(f"{at}: lines lost by the ear", len(lost), "lines", 0, 0)
        cast = {line["speaker"]: line["voice"] for line in lines}
        yield Row(f"{at}: speakers that share a voice", shared(cast), "people", 0, 0)
        wrong = wrong_sex(cast, names, found.film, target)
        yield Row(f"{at}: voices of the wrong sex", wrong, "people", 0, 0)


def unheard(found: Measured, target: str, weights: Path) -> list[dict[str, Any]]:
    """Return the placed lines whose words a recogniser does not hear in the dubbed track."""
    model = recogniser(weights)
    number = list(found.segments["languages"]).index(target)
    streams = probed(found.video)
    dubbed = [at for at, tags in enumerate(streams) if "dub" in tags.get("title", "")]
    command = ("ffmpeg", "-v", "error", "-i", str(found.video), "-map", f"0:a:{dubbed[number]}")
    raw = subprocess.run(
        [*command, "-ac", "1", "-ar", str(HEARD_HZ), "-f", "f32le", "-"],
        check=True,
        capture_output=True,
    ).stdout
    # The whole track at once: of a short word by itself a recogniser makes anything.
    parts = model.transcribe(np.frombuffer(raw, np.float32), language=target)[0]
    heard = [word for part in parts for word in plain_words(part.text)]
    placed = [line for line in found.lines(target) if line["placement"]]
    placed.sort(key=lambda line: line["placement"]["start"])
    known = [plain_words(line["takes"][line["chosen"]]["spoken"]) for line in placed]
    matcher = difflib.SequenceMatcher(
        None, heard, list(itertools.chain.from_iterable(known)), autojunk=False
    )
    alike: dict[int, str] = {}
    for _, i, j, k, m in matcher.get_opcodes():
        # What stands where the words should stand, whether it is spelled the same or not.
        alike |= {at: "".join(heard[i:j]) for at in range(k, m)}
    lost, at = list[dict[str, Any]](), 0
    for line, own in zip(placed, known, strict=True):
        said = "".join(dict.fromkeys(alike.get(n, "") for n in range(at, at + len(own))))
        at += len(own)
        if edits(said, "".join(own)) > LOST * len("".join(own)) and not inside(own, said):
            lost.append(line)
    # A recogniser leaves out whole sentences of a long sound: those are heard once more.
    sound = np.frombuffer(raw, np.float32)
    return [line for line in lost if not heard_again(model, sound, line, target)]


def heard_again(model: Any, sound: Any, line: dict[str, Any], target: str) -> bool:
    """Return whether the words of a line are heard in its surroundings alone."""
    start, length = line["placement"]["start"], line["placement"]["length"]
    begin, end = max(0.0, start - AROUND_S), start + length + AROUND_S
    cut = sound[round(begin * HEARD_HZ) : round(end * HEARD_HZ)]
    parts = model.transcribe(cut, language=target)[0]
    said = "".join(word for part in parts for word in plain_words(part.text))
    return inside(plain_words(line["takes"][line["chosen"]]["spoken"]), said)


def inside(own: Sequence[str], said: str) -> bool:
    """Return whether the letters of the words stand, nearly, somewhere in what was heard."""
    letters = "".join(own)
    spans = (said[at : at + len(letters)] for at in range(max(1, len(said) - len(letters) + 1)))
    return min(edits(span, letters) for span in spans) <= LOST * len(letters)


def plain_words(text: str) -> list[str]:
    """Return the words without accents, which recognisers leave out at will."""
    spread = unicodedata.normalize("NFD", " ".join(words(text)))
    return "".join(c for c in spread if not unicodedata.combining(c)).split()


def recogniser(weights: Path) -> Any:
    from faster_whisper import WhisperModel

    folder = str(weights / "whisper-base")
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)


def probed(video: Path) -> list[dict[str, str]]:
    """Return the tags of a file's audio tracks."""
    command = ("ffprobe", "-v", "error", "-select_streams", "a", "-show_streams", "-of", "json")
    found = subprocess.run([*command, str(video)], check=True, capture_output=True, text=True)
    return [stream.get("tags", {}) for stream in json.loads(found.stdout)["streams"]]


def first_lines(found: Measured, target: str, natural_s: dict[tuple[str, int], float]) -> float:
    """Return the mean error of the first five predicted lengths of each voice, in per cent."""
    known: defaultdict[str, list[float]] = defaultdict(list)
    for line in found.lines(target):
        if line["chosen"] == 0:
            predicted_s = line["takes"][0]["predicted_s"]
            error = abs(predicted_s / natural_s[target, line["index"]] - 1)
            known[line["voice"]].append(error)
    return 100 * fmean(error for each in known.values() for error in each[:5])


def shared(cast: dict[str, str]) -> int:
    return len(cast) - len(set(cast.values()))


def wrong_sex(cast: dict[str, str], names: dict[str, str], film: Film, target: str) -> int:
    sexes = {voice.name: voice.sex for voice in _kokoro(Path("nowhere")).voices(target)}
    return sum(
        sexes.get(voice) != ("female" if names[speaker] in film.female else "male")
        for speaker, voice in cast.items()
        if speaker in names and not names[speaker].startswith("nobody")
    )


def _kokoro(model: Path) -> Synthesizer:
    options: Any = option_type_of("synthesis", "kokoro")
    made = build("synthesis", "kokoro", options=options(model=str(model)))
    assert isinstance(made, Synthesizer)
    return made


def neural_languages() -> Row:
    """Return in how many languages an engine without an account has a voice of its own."""
    languages: set[str] = set()
    for row in engine_rows():
        if row.kind == "synthesis" and row.models and row.commercial:
            made = build("synthesis", row.name)
            assert isinstance(made, Synthesizer)
            languages |= {each for each in LANGUAGES if made.voices(each)}
    return Row("languages with neural stock voices", len(languages), "", 8, 30, "higher")


LANGUAGES = (
    "ar bg bn ca cs cy da de el en es et eu fa fi fr he hi hr hu hy id is it ja ka kk ko lb lt lv "
    "ml ms ne nl no pl pt ro ru sk sl sq sr sv sw te th tr uk ur uz vi zh"
).split()


def alone(
    found: Measured, weights: Path, targets: Sequence[str]
) -> tuple[float, dict[tuple[str, int], float]]:
    """Return the CPU seconds of the engines alone, and how long each line takes by itself.

    Whisper writes down the film once and each chosen take once; Kokoro speaks each chosen wording
    once, with one thread; ffmpeg encodes each track.
    """
    began, natural_s = cpu_s(), dict[tuple[str, int], float]()
    model = recogniser(weights)
    segments, _ = model.transcribe(str(found.film.path), language="en", vad_filter=True)
    list(segments)
    with _kokoro(weights / "kokoro") as kokoro:
        for target in targets:
            for line in found.lines(target):
                if line["chosen"] is None:
                    continue
                text = line["takes"][line["chosen"]]["spoken"]
                voice = Voice(line["speaker"], SpeakerProfile(""), name=line["voice"])
                speech = kokoro.speak(SpeechRequest(text, target, voice))
                natural_s[target, line["index"]] = speech.samples.size / speech.rate
                sound = np.interp(
                    np.arange(0, speech.samples.size, speech.rate / HEARD_HZ),
                    np.arange(speech.samples.size),
                    speech.samples,
                ).astype(np.float32)
                list(model.transcribe(sound, language=target, beam_size=1)[0])
    for _ in targets:
        encode = ("-c:a", "ac3", "-b:a", "448k", "-f", "null", "-")
        command = ("ffmpeg", "-v", "error", "-i", str(found.film.path), "-vn", *encode)
        subprocess.run(command, check=True)
    return cpu_s() - began, natural_s


def rows(films: dict[str, Film], weights: Path, work: Path, quick: bool) -> Iterator[Row]:
    targets = TARGETS[-1:] if quick else TARGETS
    yield neural_languages()
    for name, film in films.items():
        clean = name.endswith("clean")
        spoken = targets if clean else targets[-1:]
        found = measure(film, weights, work / name, spoken)
        yield from film_rows(name, found, 97 if clean else 90)
        yield from voice_rows(name, found, weights, spoken)
        if clean:
            cpu, natural_s = alone(found, weights, spoken)
            floor = f"the engines alone; the whole {found.cpu:.0f} CPU s"
            yield Row(f"{name}: CPU of the whole", found.cpu / cpu, "x", 1.35, 1.15, floor=floor)
            for target in spoken:
                error = first_lines(found, target, natural_s)
                yield Row(f"{name}, {target}: first five lines' lengths", error, "%", 12, 8)


def read_films(folder: Path) -> dict[str, Film]:
    """Return the films of a folder by name."""
    films: dict[str, Film] = {}
    for document in sorted(folder.glob("*.json")):
        table = document.with_suffix(".tsv")
        table = table if table.is_file() else Path(__file__).with_name(table.name)
        paths = [folder / f"{document.stem}_{kind}.mkv" for kind in ("clean", "music")]
        if not table.is_file():
            continue
        with table.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file, delimiter="\t"))
        female = tuple(sorted({row["female"] for row in found if row.get("female")})) or FEMALE
        texts = {target: tuple(row[target] for row in found) for target in TARGETS}
        lines = tuple(Line(*each) for each in json.loads(document.read_text()))
        films |= {p.stem: Film(p, lines, texts, female) for p in paths if p.is_file()}
    return films


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--film", type=Path, default=Path("../shared/media/film"))
    parser.add_argument("--keep", type=Path, help="folder for the work folders, for a look")
    parser.add_argument("--quick", action="store_true", help="one language")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    films = read_films(asked.film) if asked.film.is_dir() else {}
    needed = [asked.weights / name for name in ("whisper-base", "kokoro")] if asked.weights else []
    missing = [str(path) for path in needed if not path.is_dir()]
    if not asked.weights or missing or not films:
        absent = ", ".join(missing) or ("a film" if asked.weights else "the folder of the weights")
        print(f"not here: {absent}; see the head of {Path(__file__).name}", file=sys.stderr)
        return NOT_HERE
    engines.register(
        engines.EngineRow(
            kind="translation",
            name=KnownLines.name,
            where="real_weights:KnownLines",
            licence="Apache-2.0",
            summary="the film's own lines, for measuring",
        )
    )
    sys.modules.setdefault("real_weights", sys.modules[__name__])
    with tempfile.TemporaryDirectory() as folder:
        work = (asked.keep or Path(folder)).absolute()
        found = list[Row]()

        def told() -> Iterator[Row]:
            for row in rows(films, asked.weights.absolute(), work, asked.quick):
                found.append(row)
                yield row

        show(told(), as_json=asked.json)
    below = [row.name for row in found if _fails(row)]
    for name in below:
        print(f"below its must: {name}", file=sys.stderr)
    return BELOW if below else 0


def _fails(row: Row) -> bool:
    if row.must is None:
        return False
    return row.value < row.must if row.better == "higher" else row.value > row.must


if __name__ == "__main__":
    sys.exit(main())
