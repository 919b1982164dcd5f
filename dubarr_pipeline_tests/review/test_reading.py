"""Films, lines, sounds, waveforms and the picture, as a browser gets them."""

from __future__ import annotations

import io
import shutil
import struct
import time
import uuid
import wave
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.review import films
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.script.model import SpeakerProfile, Transcript
from dubarr_pipeline.segments.results import SegmentsResult, write_segments
from dubarr_pipeline.workdir.artifacts import write_speakers, write_transcript
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.finished_work import RATE, SAMPLES, STATS, line, segment, take
from dubarr_pipeline_tests.fixtures.review_film import KEY, backstage, client_of

FILM = f"/api/v1/films/{KEY}"


def heard(data: bytes) -> tuple[int, np.ndarray]:
    """Rate and ``(samples, channels)`` of a WAV file of 16 bits."""
    with wave.open(io.BytesIO(data)) as file:
        assert file.getsampwidth() == 2
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), frames.reshape(-1, file.getnchannels())


def test_films_are_listed_by_title(client: TestClient):
    (film,) = client.get("/api/v1/films").json()["films"]
    assert film == {
        "key": KEY,
        "title": "Film <b>one",
        "state": "DONE",
        "languages": ["es"],
        "held": False,
    }


def test_a_film_is_described_by_what_was_made(client: TestClient):
    film = client.get(FILM).json()
    (spanish,) = film["languages"]
    assert film["duration_s"] == 8.0
    assert film["source_language"] == "en"
    assert [(s["id"], s["name"], s["lines"]) for s in film["speakers"]] == [
        ("SPEAKER_00", "Ann", 3),
        ("SPEAKER_01", None, 2),
    ]
    assert film["picture"] == {"kind": "source", "offset_s": 0.0}
    assert film["gate"]["state"] == "passed"
    assert {n: spanish["counts"][n] for n in ("lines", "placed", "failed", "kept_original")} == {
        "lines": 5,
        "placed": 4,
        "failed": 1,
        "kept_original": 1,
    }
    assert not spanish["stale"]


def test_every_line_is_listed_with_its_fit_and_takes(client: TestClient):
    told = client.get(f"{FILM}/lines?lang=es").json()
    assert told["total"] == 6
    assert [row["index"] for row in told["lines"]] == [0, 1, 2, 3, 4, 5]
    assert len({row["id"] for row in told["lines"]}) == 6
    second, failed, song = told["lines"][1], told["lines"][2], told["lines"][5]
    assert second["fit"] == {
        "budget_s": 1.0,
        "predicted_s": 1.0,
        "measured_s": 1.0,
        "tempo": 1.1,
        "start": 1.5,
        "length": 0.75,
    }
    assert [take["chosen"] for take in second["takes"]] == [False, True]
    assert (failed["outcome"], failed["why"]) == ("failed:too_long", "no wording fits")
    assert failed["fit"]["start"] is None
    assert (song["kind"], song["outcome"]) == ("song", "kept_original")


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        ("failed", [2]),
        ("problem", [2]),
        ("speaker:SPEAKER_01", [2, 3]),
        ("failed,speaker:SPEAKER_00", [0, 1, 2, 4, 5]),
        ("edited", []),
        ("unscripted", []),
        ("", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_lines_are_filtered(client: TestClient, wanted: str, indices: list[int]):
    told = client.get(f"{FILM}/lines", params={"lang": "es", "filter": wanted}).json()
    assert [row["index"] for row in told["lines"]] == indices
    assert told["total"] == len(indices)


def test_a_part_of_the_lines_tells_of_all(client: TestClient):
    told = client.get(f"{FILM}/lines?lang=es&from=2&count=2").json()
    assert (told["total"], [row["index"] for row in told["lines"]]) == (6, [2, 3])


def test_a_line_is_cut_alike_from_every_sound(client: TestClient):
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][3]
    address = f"{FILM}/lines/{row['id']}/sound"
    expected_s = row["fit"]["start"] + row["fit"]["length"] - row["start"]
    for what in ("original", "dub", "voice", "bed"):
        told = client.get(address, params={"lang": "es", "what": what})
        rate, frames = heard(told.content)
        assert float(told.headers["x-start-s"]) == row["start"]
        assert len(frames) / rate == pytest.approx(expected_s, abs=1e-4)
        assert np.abs(frames).max() > 1000
    wide = client.get(address, params={"lang": "es", "what": "bed", "pad": 0.5})
    rate, frames = heard(wide.content)
    assert len(frames) / rate == pytest.approx(expected_s + 1.0, abs=1e-4)


def test_the_original_is_the_sum_of_its_stems(client: TestClient):
    parts = {
        what: heard(client.get(f"{FILM}/sound/{what}.wav").content)[1].astype(int)
        for what in ("original", "voice", "bed")
    }
    assert parts["original"].shape == (SAMPLES, 2)
    assert np.abs(parts["original"] - parts["voice"] - parts["bed"]).max() <= 1


def test_the_dub_is_decoded_in_its_place(client: TestClient):
    rate, dub = heard(client.get(f"{FILM}/sound/dub.wav?lang=es").content)
    _, original = heard(client.get(f"{FILM}/sound/original.wav").content)
    assert rate == 48_000
    assert len(dub) == 8 * rate
    # Sample for sample in place: the codec's own error is all that differs.
    at_8k = dub[:: rate // RATE].astype(int)
    inner = slice(RATE, 7 * RATE)
    assert np.corrcoef(at_8k[inner, 0], original[inner, 0])[0, 1] > 0.999


@pytest.mark.parametrize("what", ["original", "dub"])
@pytest.mark.parametrize("asked", ["0-43", "10-99", "44-44", "45-1000", "1001-", "-100", "0-"])
def test_any_range_is_what_the_whole_has_there(client: TestClient, what: str, asked: str):
    address = f"{FILM}/sound/{what}.wav?lang=es"
    whole = client.get(address).content
    told = client.get(address, headers={"Range": f"bytes={asked}"})
    first, _, last = asked.partition("-")
    start = int(first) if first else len(whole) - int(last)
    stop = int(last) + 1 if first and last else len(whole)
    assert told.status_code == 206
    assert told.content == whole[start:stop]
    assert told.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "asked",
    ["bytes=1-2,4-5", "bytes=x-", "lines=1-2", "bytes=-", "bytes", f"bytes={'9' * 5000}-"],
    ids=lambda asked: asked[:20],
)
def test_a_range_that_is_none_gets_the_whole(client: TestClient, asked: str):
    told = client.get(f"{FILM}/sound/bed.wav", headers={"Range": asked})
    assert (told.status_code, len(told.content)) == (200, 44 + SAMPLES * 4)


def test_a_range_beyond_the_end_is_refused(client: TestClient):
    told = client.get(f"{FILM}/sound/bed.wav", headers={"Range": "bytes=999999-"})
    assert told.status_code == 416


def test_a_part_of_an_earlier_sound_is_not_continued(client: TestClient):
    address = f"{FILM}/sound/bed.wav"
    asked = {"Range": "bytes=100-199", "If-Range": '"other"'}
    assert client.get(address, headers=asked).status_code == 200
    asked["If-Range"] = client.get(address).headers["etag"]
    assert client.get(address, headers=asked).status_code == 206


def test_a_take_is_heard_as_it_was_spoken(client: TestClient):
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][0]
    address = f"{FILM}/lines/{row['id']}/sound"
    told = client.get(address, params={"lang": "es", "what": f"take:{row['takes'][0]['id']}"})
    rate, frames = heard(told.content)
    assert (rate, len(frames)) == (RATE, 400)
    assert set(frames[:, 0]) == {8192}
    assert client.get(address, params={"lang": "es", "what": "take:no"}).status_code == 404
    assert client.get(address, params={"lang": "es", "what": "x"}).status_code == 422


@pytest.mark.parametrize(("what", "peak"), [("voice", 0.4), ("bed", 0.4), ("dub", 0.8)])
def test_waveforms_show_the_extremes_of_every_stretch(client: TestClient, what: str, peak: float):
    for rate in (100, 4):
        told = client.get(f"{FILM}/peaks/{what}", params={"lang": "es", "rate": rate})
        head = struct.unpack("<iIiiIi", told.content[:24])
        version, flags, sample_rate, step, length, channels = head
        pairs = np.frombuffer(told.content[24:], np.int8).reshape(-1, 2)
        assert (version, flags, channels, len(pairs)) == (2, 1, 1, length)
        assert sample_rate / step == rate
        # The decoder ends with a whole frame.
        assert 8 * rate <= length <= 8.2 * rate
        assert pairs[:, 1].max() / 128 == pytest.approx(peak, abs=0.02)
        assert pairs[:, 0].min() / 128 == pytest.approx(-peak, abs=0.02)


def test_waveforms_are_made_once_for_a_sound(client: TestClient, room: ReviewRoom):
    client.get(f"{FILM}/peaks/bed?rate=4")
    folder = room.settings.work_dir / ".review" / KEY / "peaks"
    made = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(made) == 2
    client.get(f"{FILM}/peaks/bed?rate=100")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    bed = WorkDir(room.settings.work_dir / KEY).accompaniment
    bed.write_bytes(bed.read_bytes())
    client.get(f"{FILM}/peaks/bed?rate=4")
    assert len(list(folder.iterdir())) == 2
    assert not made.keys() & {*folder.iterdir()}


def test_a_picture_that_browsers_play_is_the_source(client: TestClient, room: ReviewRoom):
    source = room.video(KEY).source
    told = client.get(f"{FILM}/picture", headers={"Range": "bytes=0-99"})
    assert (told.status_code, told.content) == (206, source.read_bytes()[:100])
    assert told.headers["content-type"] == "video/x-matroska"


def test_a_proxy_is_made_whole_or_not_at_all(client: TestClient, room: ReviewRoom):
    answers = []
    end = time.monotonic() + 60
    while time.monotonic() < end:
        told = client.get(f"{FILM}/picture?proxy=1")
        answers.append(told.status_code)
        if told.status_code != 202:
            break
        assert 0 <= told.json()["progress"] < 1
        time.sleep(0.05)
    assert answers[0] == 202
    assert answers[-1] == 200
    assert told.content[4:8] == b"ftyp"
    kept = room.settings.work_dir / ".review" / KEY
    assert [path.name for path in kept.iterdir()] == ["picture.mp4"]


def test_a_picture_that_cannot_be_made_is_told_of(client: TestClient, room: ReviewRoom):
    source = room.video(KEY).source
    away = source.with_suffix(".away")
    source.rename(away)
    try:
        assert client.get(FILM).json()["picture"]["kind"] == "none"
        assert client.get(f"{FILM}/picture").status_code == 404
    finally:
        away.rename(source)


@pytest.mark.parametrize(
    "gone",
    [
        ("segments.json",),
        ("transcription.json", "segments.json"),
        ("speech.json",),
        ("speakers.json",),
        ("vocals.wav", "accompaniment.wav", "final_es.ac3"),
        ("segments.json", "transcription.json", "speech.json", "speakers.json"),
    ],
)
def test_of_an_unfinished_film_all_that_is_there_is_shown(
    client: TestClient, room: ReviewRoom, gone: tuple[str, ...]
):
    root = room.settings.work_dir / KEY
    for name in gone:
        (root / name).unlink()
    film, told = client.get(FILM), client.get(f"{FILM}/lines?lang=es")
    assert (film.status_code, told.status_code) == (200, 200)
    assert told.json()["total"] == (0 if "transcription.json" in gone else 6)
    if "segments.json" in gone:
        assert all(row["outcome"] == "" for row in told.json()["lines"])
    if "vocals.wav" in gone:
        for path in ("sound/voice.wav", "sound/dub.wav?lang=es", "peaks/dub?lang=es", "peaks/bed"):
            assert client.get(f"{FILM}/{path}").status_code == 409


def test_a_damaged_file_is_as_a_missing_one(client: TestClient, room: ReviewRoom):
    (room.settings.work_dir / KEY / "segments.json").write_text("{")
    assert client.get(FILM).status_code == 200


def test_a_new_result_is_shown_at_once(client: TestClient, room: ReviewRoom):
    assert client.get(f"{FILM}/lines?lang=es").json()["lines"][0]["text"] == "línea 0"
    path = room.settings.work_dir / KEY / "segments.json"
    document = read_json(path)
    document["languages"]["es"][0]["text"] = "otra"
    write_json(path, document)
    assert client.get(f"{FILM}/lines?lang=es").json()["lines"][0]["text"] == "otra"


def test_a_film_that_is_removed_is_gone(client: TestClient, room: ReviewRoom):
    assert client.get(FILM).status_code == 200
    shutil.rmtree(room.settings.work_dir / KEY)
    for path in ("", "/lines?lang=es", "/picture", "/sound/bed.wav", "/edits/es"):
        assert client.get(f"{FILM}{path}").status_code == 404
    assert client.get("/api/v1/films").json() == {"films": []}


def test_one_film_alone_is_served(room: ReviewRoom, tmp_path: Path):
    other = "other-0123abcd"
    shutil.copytree(room.settings.work_dir / KEY, room.settings.work_dir / other)
    document = room.settings.work_dir / other / "video.json"
    write_json(document, {**read_json(document), "key": other})
    alone = client_of(ReviewRoom(room.settings, backstage(), KEY))
    assert [film["key"] for film in alone.get("/api/v1/films").json()["films"]] == [KEY]
    assert alone.get(f"/api/v1/films/{other}").status_code == 404
    assert len(client_of(room).get("/api/v1/films").json()["films"]) == 2


def test_nothing_but_the_cache_is_written(client: TestClient, room: ReviewRoom):
    def tree() -> dict[str, int]:
        root = room.settings.work_dir / KEY
        return {str(p): p.stat().st_mtime_ns for p in root.rglob("*") if "edits" not in p.parts}

    before = tree()
    for path in ("", "/lines?lang=es", "/sound/dub.wav?lang=es", "/peaks/dub?lang=es", "/picture"):
        client.get(f"{FILM}{path}")
    assert tree() == before


def test_a_long_film_with_many_speakers_is_one_small_answer(room: ReviewRoom):
    work = WorkDir(room.settings.work_dir / KEY)
    people = [f"SPEAKER_{number:02}" for number in range(40)]
    long = tuple(segment(n, 3 * n, 3 * n + 2, people[n % 40], f"word{n} " * 9) for n in range(2000))
    write_transcript(work.transcription, Transcript(RATE, 6000 * RATE, "en", long))
    write_speakers(work.speakers, tuple(SpeakerProfile(who) for who in people))
    made = tuple(line(each, work, text="texto " * 9, takes=(take(), take(2))) for each in long)
    write_segments(work, SegmentsResult(RATE, {"es": made}, STATS))
    client = client_of(room)
    told = client.get(f"{FILM}/lines?lang=es&count=2000")
    assert len(told.json()["lines"]) == 2000
    assert len(told.content) <= 1_500_000
    speakers = client.get(FILM).json()["speakers"]
    assert [each["lines"] for each in speakers] == [50] * 40
    assert len({each["colour"] for each in speakers}) == 40


def test_a_long_films_lines_are_read_once(room: ReviewRoom, monkeypatch: pytest.MonkeyPatch):
    reads: list[str] = []

    def counted(name: str) -> None:
        read = getattr(films, name)
        monkeypatch.setattr(films, name, lambda *a: reads.append(name) or read(*a))

    for name in ("read_segments", "read_transcript", "film_edits"):
        counted(name)
    client = client_of(room)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][0]
    for path in ("", "/lines?lang=es", "/lines?lang=es&from=3"):
        client.get(f"{FILM}{path}")
    first = list(reads)
    fact = {"id": str(uuid.uuid4()), "target": "line", "target_id": row["id"], "field": "text"}
    wish = {"revision": 0, "by": "me", "facts": [{**fact, "value": "Hola."}]}
    assert client.post(f"{FILM}/edits/es", json=wish).status_code == 200
    client.get(f"{FILM}/lines?lang=es")
    assert sorted(first) == ["film_edits", "read_segments", "read_transcript"]
    # An edit has the edits read again, and nothing else.
    assert {*reads[3:]} == {"film_edits"}
