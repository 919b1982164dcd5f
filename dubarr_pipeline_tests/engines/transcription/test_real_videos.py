"""The two real videos with their sidecar subtitles: speech, speakers, lines, references."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer
from dubarr_pipeline.engines.diarization.cue_clusters import CueClusters
from dubarr_pipeline.engines.interfaces import Hearing
from dubarr_pipeline.engines.transcription.subtitles import SubtitleTranscriber
from dubarr_pipeline.engines.voice_activity.silero import SileroVoiceActivity
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.media.container.ffmpeg import run
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.subtitles.read import choose_script, read_cues
from dubarr_pipeline.script.speakers.references import choose_refs
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SoundInMemory

RATE = 44100


@cache
def heard(video: Path) -> tuple[Hearing, SoundInMemory]:
    decoded = run(["-i", video, "-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"])
    mono = np.frombuffer(decoded.stdout, np.float32)
    with SileroVoiceActivity() as detector:
        found = detector.detect(iter([resample(mono, RATE, 16000)]))
    speech = [Span(s.start * RATE // 16000, s.end * RATE // 16000) for s in found]
    info = probe(video)
    cues = read_cues(choose_script(info), info, RATE, 0.0)
    sound = SoundInMemory(mono, RATE)
    told = CueClusters().diarize(sound, speech, cues)
    return Hearing(sound, tuple(speech), told, tuple(cues), "en"), sound


def test_a_talking_head_is_one_speaker_whose_lines_lie_on_the_voice(shared_media):
    hearing, sound = heard(shared_media / "video/englishvideo.mp4")
    assert hearing.diarization.speakers == ("SPEAKER_00",)
    transcript = SubtitleTranscriber().transcribe(hearing)
    assert [line.text for line in transcript.lines] == [
        "Good morning, my name is Jordi Mas.",
        "I am from Barcelona.",
        "And I love this city.",
    ]
    for line, cue in zip(transcript.lines, hearing.cues, strict=True):
        assert abs(line.span.start - cue.span.start) <= 0.5 * RATE
        assert abs(line.span.end - cue.span.end) <= 0.5 * RATE
    (ref,) = choose_refs(sound, None, hearing.diarization, transcript)
    assert ref.chosen
    assert "Jordi Mas" in ref.chosen.text
    (profile,) = PlainScriptAnalyzer().read(transcript, hearing.diarization, sound).speakers
    assert profile.pitch_hz == pytest.approx(115, abs=8)


def test_a_film_trailer_is_two_speakers_and_the_unheard_cue_is_kept(shared_media):
    hearing, _ = heard(shared_media / "video/sintel_trailer_52s.mp4")
    transcript = SubtitleTranscriber().transcribe(hearing)
    assert [len(line.text) for line in transcript.lines] == [len(c.text) for c in hearing.cues]
    man, woman = transcript.lines[0], transcript.lines[1]
    assert {man.speaker, woman.speaker} == {"SPEAKER_00", "SPEAKER_01"}
    for line, cue in zip(transcript.lines, hearing.cues, strict=True):
        assert line.confidence > 0.8 or line.span == cue.span
