from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.diarization.cue_clusters import CueClusters, display_name
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.model import ScriptLine
from dubarr_pipeline.script.speakers.grouping import VoicedPieces, cluster, group_pieces
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import (
    SoundInMemory,
    SyntheticVoice,
    best_match,
    dialogue,
    error_rate,
    speak,
)

VOICES = [SyntheticVoice(105), SyntheticVoice(215, 1.17), SyntheticVoice(150, 1.05)]
RATE = 16000


def cues_of(scene, texts=None):
    texts = texts or [f"These are some words of line {i}." for i in range(len(scene.turns))]
    return [Cue(span, text) for (span, _), text in zip(scene.turns, texts, strict=True)]


def der(scene, diarization, rate=RATE):
    truth = [(span, str(who)) for span, who in scene.turns]
    return error_rate(truth, [(t.span, t.speaker) for t in diarization.turns], rate)


@pytest.mark.parametrize(
    ("order", "rate"),
    [
        ([0, 1, 0, 1, 1, 0, 1, 0], 16000),
        ([0, 1, 2, 0, 2, 1, 1, 0, 2, 0, 1, 2], 16000),
        ([0, 1, 2, 0, 2, 1, 1, 0, 2, 0, 1, 2], 48000),
        ([0, 1, 0, 1, 1, 0, 1, 0], 8000),
        ([0, 0, 0, 0, 0, 0, 0, 0], 16000),
    ],
)
def test_synthetic_speakers_are_told_apart(order, rate):
    scene = dialogue(VOICES, order, rate)
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene))
    assert found.speakers == tuple(f"SPEAKER_{i:02d}" for i in range(len(set(order))))
    assert der(scene, found, rate) <= 0.02


def test_ids_follow_the_first_appearance():
    scene = dialogue(VOICES, [1, 1, 0, 1, 0, 0])
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene))
    assert found.turns[0].speaker == "SPEAKER_00"
    first = [turn.speaker for turn in found.turns]
    assert first.index("SPEAKER_00") < first.index("SPEAKER_01")


def test_the_same_sound_gives_the_same_turns():
    scene = dialogue(VOICES, [0, 1, 2, 1, 0, 2])
    runs = [CueClusters().diarize(scene.sound, scene.speech, cues_of(scene)) for _ in range(2)]
    assert runs[0] == runs[1]


def test_names_beat_the_voices():
    """The same voice under two names is two speakers; two voices under one name are one."""
    scene = dialogue(VOICES, [0, 0, 0, 1, 0, 1])
    texts = ["ANN: One.", "BOB: Two.", "ANN: Three.", "ANN: Four.", "BOB: Five.", "BOB: Six."]
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene, texts))
    assert found.names == {"SPEAKER_00": "ANN", "SPEAKER_01": "BOB"}
    by_start = [turn.speaker[-1] for turn in found.turns]
    assert by_start == list("010011")
    assert {turn.confidence for turn in found.turns} == {1.0}


def test_unnamed_lines_join_the_name_whose_voice_is_theirs():
    scene = dialogue(VOICES, [0, 1, 0, 1, 0, 1, 0, 1])
    texts = ["ANNA: One of them.", "BERT: Two.", *[f"And number {i} of it." for i in range(6)]]
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene, texts))
    assert [turn.speaker[-1] for turn in found.turns] == list("01010101")
    assert found.names == {"SPEAKER_00": "Anna", "SPEAKER_01": "Bert"}


def test_a_third_voice_beside_two_names_is_a_speaker_of_its_own():
    scene = dialogue(VOICES, [0, 1, 2, 0, 1, 2, 2, 0, 1, 2])
    texts = [f"Some words of {i}." for i in range(10)]
    texts[0], texts[1] = "ANNA: Some words.", "BERT: Some words."
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene, texts))
    assert len(found.speakers) == 3
    assert der(scene, found) <= 0.02


def test_two_people_in_one_cue_are_never_one_speaker():
    scene = dialogue([VOICES[0]], [0, 0], pause_s=0.4)
    whole = Cue(Span(scene.speech[0].start, scene.speech[1].end), "- One line.\n- Other line.")
    found = CueClusters().diarize(scene.sound, scene.speech, [whole])
    assert [t.speaker for t in found.turns] == ["SPEAKER_00", "SPEAKER_01"]


def test_overlapping_lines_keep_both_their_turns():
    low, high = speak(VOICES[0], 6, RATE, 1), speak(VOICES[1], 6, RATE, 2)
    sound = np.zeros(20 * RATE, np.float32)
    sound[: 6 * RATE] += low
    sound[5 * RATE : 11 * RATE] += high
    sound[12 * RATE : 18 * RATE] += low
    spans = [Span(0, 6 * RATE), Span(5 * RATE, 11 * RATE), Span(12 * RATE, 18 * RATE)]
    cues = [Cue(span, "One two three four five six seven eight nine ten eleven.") for span in spans]
    found = CueClusters().diarize(SoundInMemory(sound, RATE), spans, cues)
    assert [t.speaker[-1] for t in found.turns] == list("010")
    truth = [(spans[0], "a"), (spans[1], "b"), (spans[2], "a")]
    assert error_rate(truth, [(t.span, t.speaker) for t in found.turns], RATE) <= 0.02


def test_turns_are_cut_to_the_speech_under_the_cue():
    scene = dialogue([VOICES[0]], [0])
    spoken = scene.speech[0]
    found = CueClusters().diarize(
        scene.sound, [spoken], [Cue(spoken.pad(4000, 20000), "Some words that are long enough.")]
    )
    assert [turn.span for turn in found.turns] == [spoken]


def test_songs_descriptions_and_advertisements_have_no_turns():
    scene = dialogue([VOICES[0]], [0, 0, 0, 0])
    texts = ["♪ La la la ♪", "[music playing]", "www.opensubtitles.org", "Some spoken words."]
    found = CueClusters().diarize(scene.sound, scene.speech, cues_of(scene, texts))
    assert [turn.span for turn in found.turns] == [scene.speech[3]]


def test_channels_that_carry_a_speaker_each_decide():
    left, right = np.zeros(20 * RATE, np.float32), np.zeros(20 * RATE, np.float32)
    spans = [Span(i * 2 * RATE, i * 2 * RATE + RATE * 3 // 2) for i in range(10)]
    for i, span in enumerate(spans):
        # One voice on both channels: only the channel can tell.
        (left if i % 3 else right)[span.start : span.end] = speak(VOICES[0], 1.5, RATE, i)
    sound = SoundInMemory(np.stack([left, right]), RATE)
    cues = [Cue(span, "Some words in here.") for span in spans]
    found = CueClusters().diarize(sound, spans, cues)
    assert [t.speaker[-1] for t in found.turns] == ["1" if i % 3 else "0" for i in range(10)]


def test_a_voice_that_stands_on_one_side_all_the_time_is_one_speaker():
    scene = dialogue([VOICES[0]], [0] * 8)
    mono = scene.sound.read(0, scene.sound.samples)[0]
    sound = SoundInMemory(np.stack([mono, 0.1 * mono]), RATE)
    assert len(CueClusters().diarize(sound, scene.speech, cues_of(scene)).speakers) == 1


def test_the_recorded_interview_with_a_speaker_per_channel(shared_media):
    import soundfile

    sound, rate = soundfile.read(shared_media / "speech/stereo_diarization.wav", dtype="float32")
    reader = SoundInMemory(sound.T, rate)
    cues = [Cue(Span(0, 2 * rate), "One side."), Cue(Span(3 * rate, 5 * rate), "Other side.")]
    found = CueClusters().diarize(reader, [Span(0, 5 * rate)], cues)
    assert len(found.speakers) == 2


def test_silence_gives_turns_with_little_confidence():
    cues = [Cue(Span(i * RATE, (i + 1) * RATE), f"Line {i}.") for i in range(5)]
    found = CueClusters().diarize(SoundInMemory(np.zeros(6 * RATE), RATE), [], cues)
    assert found.speakers == ("SPEAKER_00",)
    assert all(turn.confidence <= 0.2 for turn in found.turns)


def test_nothing_gives_nothing():
    found = CueClusters().diarize(SoundInMemory(np.zeros(0), RATE), [], [])
    assert found.turns == ()


def test_without_cues_the_speech_itself_is_grouped():
    scene = dialogue(VOICES[:2], [0, 1, 0, 1, 0, 1], line_s=3.0)
    found = CueClusters().diarize(scene.sound, scene.speech, [])
    assert der(scene, found) <= 0.05


REAL = {
    "pyannote_sample": ("sample", 0.30),
    "ami_trn06": ("trn06", 0.27),
    "ami_trn09": ("trn09", 0.27),
}


@pytest.mark.parametrize("name", REAL)
def test_real_meetings_keep_their_measured_error(shared_media, name):
    """Cues as exact as the reference's turns; meetings with overlap, the hardest there is."""
    import soundfile

    uri, limit = REAL[name]
    folder = shared_media / "diarization"
    sound, rate = soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)
    book = folder / ("ami_debug.train.rttm" if name.startswith("ami") else f"{name}.rttm")
    fields = [line.split() for line in book.read_text().splitlines()]
    truth = [
        (Span(round(float(f[3]) * rate), round((float(f[3]) + float(f[4])) * rate)), f[7])
        for f in fields
        if f and f[1] == uri
    ]
    cues = [Cue(s, "word " * max(1, round(2.5 * s.length / rate))) for s, _ in truth]
    found = CueClusters().diarize(SoundInMemory(sound.T, rate), [s for s, _ in truth], cues)
    assert error_rate(truth, [(t.span, t.speaker) for t in found.turns], rate) <= limit


def test_forty_speakers_in_five_thousand_lines():
    """The clustering alone, on points whose groups are known."""
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 1.0, (40, 20))
    who = rng.integers(0, 40, 5000)
    points = centres[who] + rng.normal(0, 0.25, (5000, 20))
    labels = cluster(points)
    pairs = {(a, b) for a, b in zip(who.tolist(), labels.tolist(), strict=True)}
    assert len(pairs) == 40


def test_short_lines_do_not_form_speakers():
    rng = np.random.default_rng(4)
    points = np.r_[
        rng.normal(0, 0.2, (6, 5)), rng.normal(3, 0.2, (6, 5)), rng.normal(1, 0.2, (3, 5))
    ]
    frames = np.array([200] * 12 + [20] * 3)
    pieces = tuple(ScriptLine(i, Span(i, i + 1), "x") for i in range(15))
    groups, _ = group_pieces(
        VoicedPieces(pieces, points, frames, np.full(15, np.nan)), CueClusters()._options.clusters
    )
    assert best_match([0] * 6 + [1] * 6, [str(g) for g in groups[:12]]) == 1.0
    assert set(groups) == {0, 1}


@pytest.mark.parametrize(("octaves", "speakers"), [(0.61, 2), (0.59, 1)])
def test_a_few_lines_in_two_registers_are_two_speakers(octaves, speakers):
    pitch = 7.0 + np.array([0.0, 0.05, octaves + 0.05, octaves + 0.06])
    points = np.c_[np.array([0.0, 0.4, 0.1, 0.5]), pitch - 7]
    pieces = tuple(ScriptLine(i, Span(i, i + 1), "x") for i in range(4))
    voiced = VoicedPieces(pieces, points, np.full(4, 200), pitch, spread=12.0)
    assert len(set(group_pieces(voiced, CueClusters()._options.clusters)[0])) == speakers


@pytest.mark.parametrize(
    ("written", "shown"), [("JOHN", "John"), ("MAN 1", "Man 1"), ("John", "John"), ("BOB", "BOB")]
)
def test_names_are_shown_as_people_read_them(written, shown):
    assert display_name(written) == shown


def test_identity_tells_options_apart():
    from dubarr_pipeline.engines.diarization.cue_clusters import CueClusterOptions

    assert CueClusters().identity() != CueClusters(CueClusterOptions(window_s=2)).identity()
    assert all(need.present for need in CueClusters().needs())
