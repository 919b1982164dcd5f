"""The real faster-whisper on a model that recites a script; its policy with a scripted child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dubarr_pipeline.compute.oom_fallback import EngineConfiguration
from dubarr_pipeline.engines.interfaces import Hearing
from dubarr_pipeline.engines.transcription.faster_whisper import (
    FasterWhisperOptions,
    FasterWhisperTranscriber,
    WhisperConfiguration,
    whisper_rungs,
)
from dubarr_pipeline.engines.transcription.sounds import heard_sound
from dubarr_pipeline.engines.transcription.whisper_codes import language_of, whisper_code
from dubarr_pipeline.engines.transcription.whisper_worker import (
    HeardPassage,
    HeardWord,
    WhisperWorker,
)
from dubarr_pipeline.errors import (
    EngineError,
    LanguageError,
    MissingRequirement,
    OutOfMemory,
    SettingsError,
)
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Diarization, Transcript, Turn
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fakes.tiny.whisper import RECITED
from dubarr_pipeline_tests.fixtures.tone_voices import RATE, Sound

A, B = "SPEAKER_00", "SPEAKER_01"


def seconds(start_s: float, end_s: float) -> Span:
    return Span(round(start_s * RATE), round(end_s * RATE))


SPEECH = (seconds(0.15, 2.2), seconds(2.75, 4.4))
TURNS = (Turn(seconds(0, 2.4), A), Turn(seconds(2.6, 5), B))


def hearing(
    sound: Sound,
    speech: Sequence[Span] = SPEECH,
    cues: Sequence[Cue] = (),
    language: str | None = None,
) -> Hearing:
    told = Diarization(RATE, TURNS)
    return Hearing(sound, tuple(speech), told, tuple(cues), language, padding_s=0.15)


@pytest.fixture(scope="module")
def sound() -> Sound:
    noise = np.random.default_rng(3).standard_normal((2, 5 * RATE))
    return Sound((0.01 * noise).astype(np.float32))


@pytest.fixture(scope="module")
def engine(tiny_whisper: Path):
    with FasterWhisperTranscriber(
        FasterWhisperOptions(str(tiny_whisper), "", "cpu", passage_margin_s=0.0)
    ) as loaded:
        yield loaded


def heard_words(found: Transcript) -> list[str]:
    return [word.text for segment in found.segments for word in segment.words]


def test_words_come_with_their_times_speakers_and_lines(
    engine: FasterWhisperTranscriber, sound: Sound
) -> None:
    told: list[float] = []
    found = engine.transcribe(
        hearing(sound), lambda progress: told.append(progress.done / progress.total)
    )
    assert heard_words(found) == [word.text for word in RECITED]
    for word, recited in zip((w for s in found.segments for w in s.words), RECITED, strict=True):
        assert word.span.start / RATE == pytest.approx(recited.start_s + 0.15, abs=0.15)
        assert word.span.end / RATE == pytest.approx(recited.end_s + 0.15, abs=0.15)
    assert [(s.speaker, s.text) for s in found.segments] == [
        (A, "Good morning. We need a boat."),
        (B, "Silence! I hear a bell."),
    ]
    assert (found.language, found.segments[0].source) == ("en", "asr")
    assert told == sorted(told)
    assert told[-1] == 1


def test_subtitles_spell_what_was_heard(engine: FasterWhisperTranscriber, sound: Sound) -> None:
    cues = [Cue(seconds(0.2, 2.1), "Good mourning -- we need a boat?")]
    found = engine.transcribe(hearing(sound, cues=cues, language="en-GB"))
    assert found.segments[0].text == "Good mourning we need a boat?"
    assert [(e.heard, e.written) for e in found.edits] == [("morning.", "mourning")]
    assert (found.segments[0].source, found.segments[1].source) == ("subtitles", "asr")
    assert found.language == "en-GB"


def test_a_translation_spells_nothing(engine: FasterWhisperTranscriber, sound: Sound) -> None:
    cues = [Cue(seconds(0.2, 2.1), "Buenos dias. Que no, que la barca de los muertos es mia.")]
    found = engine.transcribe(hearing(sound, cues=cues))
    assert found.segments == engine.transcribe(hearing(sound)).segments


def test_where_nobody_speaks_nothing_is_heard(
    engine: FasterWhisperTranscriber, sound: Sound
) -> None:
    assert engine.transcribe(hearing(sound, ())).segments == ()


def test_a_take_is_heard_as_words(engine: FasterWhisperTranscriber) -> None:
    take = np.zeros(3 * 24_000, np.float32)
    said = " ".join(word.text for word in RECITED)
    assert engine.hear(take, 24_000, "en-US") == said
    assert engine.hear(take[:0], 24_000, "en") == ""
    assert engine.hears("pt-BR")
    assert not engine.hears("tlh")
    with pytest.raises(LanguageError, match="tlh"):
        engine.hear(take, 24_000, "tlh")


def test_who_watches_may_stop_it(engine: FasterWhisperTranscriber, sound: Sound) -> None:
    class Stopped(Exception):
        pass

    def stop(_: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        engine.transcribe(hearing(sound), stop)
    assert len(engine.transcribe(hearing(sound)).segments) == 2


def test_numbers_that_the_cpu_has_not_are_refused_before_loading(tiny_whisper: Path) -> None:
    options = FasterWhisperOptions(str(tiny_whisper), device="cpu", precision="float16")
    with pytest.raises(SettingsError, match="float16"):
        FasterWhisperTranscriber(options).load()


def test_numbers_that_nobody_has_are_refused_with_the_choices(tiny_whisper: Path) -> None:
    options = FasterWhisperOptions(str(tiny_whisper), device="cpu", precision="int3")
    with pytest.raises(SettingsError, match=r"int3.*int8"):
        FasterWhisperTranscriber(options).load()


def test_what_is_missing_is_named_with_its_cure() -> None:
    for size in ("large-v3", "small"):
        engine = FasterWhisperTranscriber(FasterWhisperOptions(f"Systran/faster-whisper-{size}"))
        with pytest.raises(MissingRequirement, match=f"dubarr models pull .*{size}"):
            engine.load()
        engine.unload()
        with pytest.raises(EngineError, match="not loaded"):
            engine.hear(np.zeros(9, np.float32), 16_000, "en")
        assert size in engine.identity()


class Recogniser:
    """Stands where the child stands; says ``word0 word1 ...`` for the passages in their order."""

    steps = ()

    def __init__(self, languages: Sequence[tuple[str, float]] = (), doubts: float = 0.0) -> None:
        self.languages = list(languages) or [("en", 0.99)]
        self.doubts = doubts
        self.asked: list[tuple[str, str, int]] = []
        self.longest = 0

    def call(self, method: str, *arguments: Any) -> Any:
        if method == "languages":
            return [self.languages[self.number(s) % len(self.languages)] for s in arguments[0]]
        if method == "write":
            self.longest = max(self.longest, *(s.size for s in arguments[0]))
            self.asked.append((method, arguments[1], len(arguments[0])))
            return [[self.passage(f" word{self.number(s)}", self.doubts)] for s in arguments[0]]
        self.asked.append((method, arguments[1], 1))
        return [self.passage(" again", 0.0)]

    def number(self, samples: np.ndarray) -> int:
        """The passages carry their number as their level."""
        return round(float(samples[samples.size // 2]) * 100)

    def passage(self, text: str, doubts: float) -> HeardPassage:
        return HeardPassage((HeardWord(0.1, 0.5, text, 0.9),), doubts, 0.0, 1.0)


def scripted(recogniser: Recogniser, **options: Any) -> FasterWhisperTranscriber:
    engine = FasterWhisperTranscriber(FasterWhisperOptions(**options))
    engine._call = recogniser.call  # pyright: ignore[reportAttributeAccessIssue]
    return engine


class Numbered:
    """A film of any length, whose level tells the number of each 10 s; nothing lies in memory."""

    rate, channels = 8_000, 1

    def __init__(self, length_s: int) -> None:
        self.samples = length_s * self.rate
        self.longest_read = 0

    def read(self, start: int, stop: int) -> np.ndarray:
        self.longest_read = max(self.longest_read, stop - start)
        return (np.arange(start, stop) // (10 * self.rate) / 100)[None].astype(np.float32)


def transcribed(
    recogniser: Recogniser, film: Numbered, language: str | None = None, **options: Any
) -> Transcript:
    rate = film.rate
    speech = tuple(
        Span((10 * i + 2) * rate, (10 * i + 8) * rate) for i in range(film.samples // (10 * rate))
    )
    heard = Hearing(
        film, speech, Diarization(rate, ()), (), language, language_per_channel=film.channels > 1
    )
    return scripted(recogniser, **options).transcribe(heard)


def test_a_foreign_passage_is_heard_in_its_own_language_and_left_original() -> None:
    languages = [("en", 0.99), ("en", 0.9), ("es", 0.97), ("fr", 0.6)]
    recogniser = Recogniser(languages)
    found = transcribed(recogniser, Numbered(40))
    assert [s.kind for s in found.segments] == ["speech", "speech", "foreign", "speech"]
    assert found.language == "en"
    assert sorted(recogniser.asked) == [("write", "en", 3), ("write", "es", 1)]
    assert [word.text for s in found.segments for word in s.words] == [f"word{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("told", "probability", "language"),
    [("fr", 0.99, "es"), ("fr", 0.7, "fr"), ("es-MX", 0.99, "es-MX"), (None, 0.4, "es")],
)
def test_the_files_language_counts_unless_all_that_is_heard_is_another(
    told: str | None, probability: float, language: str
) -> None:
    found = transcribed(Recogniser([("es", probability)]), Numbered(40), told)
    assert found.language == language
    assert {s.kind for s in found.segments} == {"speech"}


class DualMono(Numbered):
    """Two languages at once: the level of the right channel is a tenth above the left's."""

    channels = 2

    def read(self, start: int, stop: int) -> np.ndarray:
        left = super().read(start, stop)
        return np.concatenate([left, left + np.float32(0.1)])


@pytest.mark.parametrize(
    ("told", "film", "first_word"),
    [("de", "de", "word10"), ("en", "en", "word0"), (None, "en", "word0"), ("fr", "en", "word0")],
)
def test_of_two_languages_at_once_the_films_is_transcribed_and_both_are_named(
    told: str | None, film: str, first_word: str
) -> None:
    recogniser = Recogniser([("en", 0.95)] * 10 + [("de", 0.9)] * 10)
    found = transcribed(recogniser, DualMono(40), told)
    assert found.channel_languages == ("en", "de")
    assert found.language == film
    assert next(word.text for s in found.segments for word in s.words) == first_word


def test_one_language_in_both_channels_is_heard_from_both() -> None:
    found = transcribed(Recogniser([("en", 0.95)] * 20), DualMono(40))
    assert found.channel_languages == ("en", "en")
    # The mean of both channels, half a tenth above the left.
    assert next(word.text for s in found.segments for word in s.words) == "word5"


def film_of(
    speech: Sequence[tuple[float, float]], bed: float, turns: Sequence[Turn] = (), channels: int = 1
) -> Hearing:
    """Vocals of level 0.2, and an accompaniment of another."""
    rate, length = 8_000, 20 * 8_000
    vocals = Sound(np.full((channels, length), 0.2, np.float32), rate)
    rest = Sound(np.full((channels, length), bed, np.float32), rate)
    spans = tuple(Span(round(a * rate), round(b * rate)) for a, b in speech)
    return Hearing(vocals, spans, Diarization(rate, tuple(turns)), (), "en", accompaniment=rest)


class Judge(Recogniser):
    """Is surer of the voices (level 0.2) than of anything else, and hears nothing in 0.3."""

    def call(self, method: str, *arguments: Any) -> Any:
        if method != "write":
            return super().call(method, *arguments)
        self.asked.append((method, arguments[1], len(arguments[0])))
        return [self.heard(samples) for samples in arguments[0]]

    def heard(self, samples: np.ndarray) -> list[HeardPassage]:
        number = self.number(samples)
        doubts = -0.1 if number == 20 else -0.3
        return [self.passage(f" word{number}", doubts)]


@pytest.mark.parametrize(
    ("hears", "bed", "word", "times"),
    [
        ("original", 0.3, "word50", 1),
        ("vocals", 0.3, "word20", 1),
        ("both", 0.3, "word20", 2),
        ("both", 0.1, "word30", 1),
    ],
    ids=["original", "vocals", "both under loud music", "both over faint music"],
)
def test_the_films_own_sound_is_heard_unless_it_masks_the_voices(
    hears: str, bed: float, word: str, times: int
) -> None:
    recogniser = Judge()
    found = scripted(recogniser, hears=hears, foreign=False).transcribe(film_of([(2, 4)], bed))
    assert [w.text for s in found.segments for w in s.words] == [word]
    assert len(recogniser.asked) == times


def test_passages_are_wider_than_the_speech_up_to_the_middle_of_a_pause() -> None:
    film = film_of([(0.2, 4), (6.5, 8), (8.5, 9), (19.9, 20)], 0.0)
    spans = heard_sound(film, "both").passages(0.45, 0.4)
    seconds_of = [(round(s.start / 8_000, 2), round(s.end / 8_000, 2)) for s in spans]
    assert seconds_of == [(0.0, 4.4), (6.1, 8.25), (8.25, 9.4), (19.5, 20.0)]


class Skipper(Judge):
    """Writes down the first half second of a passage only; is sure of what is heard alone."""

    def __init__(self, alone: HeardPassage) -> None:
        super().__init__()
        self.alone = alone

    def heard(self, samples: np.ndarray) -> list[HeardPassage]:
        return [self.alone] if samples.size < 2 * 16_000 else [self.passage(" first", -0.1)]


@pytest.mark.parametrize(
    ("doubts", "no_speech", "words"),
    [
        (-0.6, 0.4, ["first", "No."]),
        (-0.61, 0.4, ["first"]),
        (-0.1, 0.41, ["first"]),
    ],
)
def test_a_stretch_that_was_left_out_is_heard_alone_and_believed_if_sure(
    doubts: float, no_speech: float, words: list[str]
) -> None:
    spoken = HeardPassage((HeardWord(0.5, 0.8, " No.", 0.9),), doubts, no_speech, 1.0)
    recogniser = Skipper(spoken)
    found = scripted(recogniser, foreign=False).transcribe(film_of([(2, 4), (5, 5.6)], 0.0))
    assert heard_words(found) == words


@pytest.mark.parametrize(
    ("told", "probability", "doubt"),
    [(None, 0.24, True), (None, 0.49, True), (None, 0.5, False), ("el", 0.2, False)],
)
def test_a_guessed_language_is_said_with_its_cure(
    told: str | None, probability: float, doubt: bool
) -> None:
    found = transcribed(Recogniser([("el", probability)]), Numbered(40), told)
    assert found.language == "el"
    assert ('audio.language = "xx"' in found.language_doubt) is doubt
    assert (f"{probability:.0%}" in found.language_doubt) is doubt


def test_two_speakers_with_a_channel_each_are_both_heard_where_they_talk_at_once() -> None:
    rate = 8_000
    noise = np.random.default_rng(2).standard_normal((2, 20 * rate)).astype(np.float32)
    levels = np.zeros((2, 20 * rate), np.float32)
    for channel, (start, end) in ((0, (2, 7)), (1, (5, 11))):
        levels[channel, start * rate : end * rate] = 0.1 + 0.1 * channel
    turns = (Turn(Span(2 * rate, 7 * rate), A), Turn(Span(7 * rate, 11 * rate), B))
    sound = Sound(levels * noise, rate)
    film = Hearing(sound, (Span(2 * rate, 11 * rate),), Diarization(rate, turns), (), "en")
    found = scripted(Talkers(), foreign=False).transcribe(film)
    assert [(s.speaker, s.text) for s in found.segments] == [(A, "left"), (B, "right")]
    assert found.segments[0].span.end > found.segments[1].span.start
    # One voice in both channels is heard as a whole.
    alone = replace(film, diarization=Diarization(rate, turns[:1]))
    assert len(scripted(Talkers(), foreign=False).transcribe(alone).segments) == 1


class Talkers(Judge):
    """Says who talks by the length of the passage: 5 s on the left, 6 s on the right."""

    def heard(self, samples: np.ndarray) -> list[HeardPassage]:
        length_s = samples.size / 16_000
        left = length_s < 6.3
        words = (HeardWord(0.5, length_s - 0.5, " left" if left else " right", 0.9),)
        return [HeardPassage(words, -0.1, 0.0, 1.0)]


def test_without_the_search_for_foreign_passages_all_are_the_films() -> None:
    recogniser = Recogniser([("en", 0.99), ("es", 0.99)])
    found = transcribed(recogniser, Numbered(40), "en", foreign=False)
    assert {s.kind for s in found.segments} == {"speech"}


def test_doubtful_passages_are_heard_again() -> None:
    recogniser = Recogniser(doubts=-1.5)
    found = transcribed(recogniser, Numbered(20))
    assert [s.text for s in found.segments] == ["again", "again"]
    assert [asked[0] for asked in recogniser.asked] == ["write", "write_again", "write_again"]


def test_a_film_of_three_hours_is_never_held() -> None:
    film, recogniser = Numbered(3 * 3600), Recogniser()
    found = transcribed(recogniser, film, batch=4)
    assert len(found.segments) == 1080
    assert film.longest_read <= 35 * film.rate
    assert recogniser.longest <= 28 * 16_000
    assert max(count for _, _, count in recogniser.asked) == 4


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    rate = 8_000
    loud = np.full((1, 60 * rate), 0.5, np.float32)
    loud[:, round(23.0 * rate) : round(23.4 * rate)] = 0.01
    recogniser = Recogniser()
    film = Hearing(Sound(loud, rate), (Span(0, 60 * rate),), Diarization(rate, ()), (), "en")
    scripted(recogniser).transcribe(film)
    assert recogniser.longest <= 28 * 16_000
    first = heard_sound(film, "original").passages(2.0, 0.4)[0]
    assert first.end / rate == pytest.approx(23.05, abs=0.06)


def test_the_ladder_goes_by_batch_numbers_smaller_model_and_cpu() -> None:
    first = WhisperConfiguration("cuda:0", 2, "auto", model="large")
    rungs = whisper_rungs(first, "small", allow_cpu=True)
    assert [str(rung) for rung in rungs] == [
        "large on cuda:0, batch 2, float16",
        "large on cuda:0, batch 1, float16",
        "large on cuda:0, batch 1, int8_float16",
        "large on cuda:0, batch 1, int8",
        "small on cuda:0, batch 1, int8",
        "large on cpu, batch 1, int8",
    ]
    alone = whisper_rungs(
        WhisperConfiguration("cpu", 2, "auto", model="large"), None, allow_cpu=True
    )
    assert [str(rung) for rung in alone] == [
        "large on cpu, batch 2, int8",
        "large on cpu, batch 1, int8",
    ]


@pytest.mark.parametrize(
    ("device", "asked", "batch"), [("cpu", 0, 2), ("cuda:0", 0, 8), ("cpu", 5, 5), ("cuda:1", 5, 5)]
)
def test_a_cpu_hears_few_passages_at_once(
    tmp_path: Path, device: str, asked: int, batch: int
) -> None:
    engine = FasterWhisperTranscriber(FasterWhisperOptions(str(tmp_path), "", batch=asked))
    assert engine._rungs(device)[0].batch == batch


def test_a_passage_is_encoded_once_for_its_language_and_its_words(tiny_whisper: Path) -> None:
    worker = WhisperWorker(tiny_whisper, "cpu", "int8", batch=2, beam=1)
    passages = [np.full(5 * 16_000 + n, 0.01 * n, np.float32) for n in range(3)]
    unasked = worker.write(passages, "en")
    encodings, encoded = worker._encodings, list[int]()

    def encode(features: NDArray[np.float32]) -> Any:
        encoded.append(len(features))
        return actually(features)

    actually, encodings._encode = encodings._encode, encode
    assert worker.languages(passages) == [("en", pytest.approx(1, abs=0.1))] * 3
    assert worker.write(passages, "en") == unasked
    assert encoded == [2, 1]
    # Others are encoded, and none is kept but those that were asked last.
    worker.write([passages[0] + 1], "en")
    worker.languages(passages[:1])
    assert encoded == [2, 1, 1, 1]
    assert len(encodings._kept) == 1


def test_out_of_memory_steps_down_and_the_steps_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        pid = 1

        def __init__(self, *_: object, **arguments: Any) -> None:
            self.batch = arguments["batch"]

        def load(self) -> None: ...
        def unload(self) -> None: ...
        def call(self, method: str, *_: object, **__: object) -> str:
            if self.batch > 2:
                raise OutOfMemory("CUDA failed with error out of memory")
            return f"{method} with {self.batch}"

    monkeypatch.setattr("dubarr_pipeline.engines.laddered_child.EngineChild", Full)
    engine = FasterWhisperTranscriber(FasterWhisperOptions(str(tmp_path), "", "cpu", batch=8))
    with engine:
        assert engine.hear(np.zeros(9, np.float32), 16_000, "en") == "hear with 2"
        assert [step.taken[-18:] for step in engine.steps] == [
            "cpu, batch 4, int8",
            "cpu, batch 2, int8",
        ]
    assert engine.steps == ()


def test_the_smaller_model_is_a_rung_only_where_it_is_here(tmp_path: Path) -> None:
    def models(smaller: str) -> list[str]:
        options = FasterWhisperOptions("Systran/faster-whisper-large-v3", smaller, batch=1)
        rungs: Sequence[EngineConfiguration] = FasterWhisperTranscriber(options)._rungs("cpu")
        return [rung.model for rung in rungs if isinstance(rung, WhisperConfiguration)]

    assert models("Systran/faster-whisper-small") == ["Systran/faster-whisper-large-v3"]
    assert models(str(tmp_path)) == ["Systran/faster-whisper-large-v3", str(tmp_path)]


@pytest.mark.parametrize(
    ("tag", "code", "back"),
    [
        ("en-GB", "en", "en"),
        ("pt-BR", "pt", "pt"),
        ("nb", "no", "no"),
        ("zh-Hant", "zh", "zh"),
        ("fil", "tl", "fil"),
        ("jv", "jw", "jv"),
        ("yue", "yue", "yue"),
        ("tlh", None, None),
    ],
)
def test_languages_have_whispers_codes(tag: str, code: str | None, back: str | None) -> None:
    assert whisper_code(tag) == code
    if code:
        assert language_of(code) == back
