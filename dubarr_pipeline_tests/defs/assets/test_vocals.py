"""Which sound is dubbed where the chosen one holds little or no speech."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dubarr_pipeline.defs.assets import vocals
from dubarr_pipeline.errors import NoAudio
from dubarr_pipeline.library.source import Source
from dubarr_pipeline.media.container.streams import Stream
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import SourceCues
from dubarr_pipeline_tests.fixtures.synthetic_media import audio_stream, media_info

SAMPLES, WRITTEN = 100_000, 40_000


def listened(
    speech: dict[int, int], monkeypatch: pytest.MonkeyPatch, written: int = WRITTEN, asked: int = -1
) -> int:
    """The stream that is dubbed, of streams with so many samples of speech; the first is chosen."""

    def hear(_context: Any, _source: Any, stream: Stream, _bed: Path) -> Any:
        found = [Span(0, speech[stream.index])] if speech[stream.index] else []
        heard = SimpleNamespace(audio=SimpleNamespace(samples=SAMPLES), speech=found)
        cues = (Cue(Span(0, written), "text"),) if written else ()
        return heard, SourceCues(1000, None, "en", cues)

    monkeypatch.setattr(vocals, "_hear", hear)
    streams = [audio_stream(index) for index in speech]
    context = SimpleNamespace(settings=SimpleNamespace(audio=SimpleNamespace(stream=asked)))
    source = Source(media_info(*streams), streams[0], language="en")
    return vocals._listen(cast("Any", context), source, Path("bed.wav"))[0].index


@pytest.mark.parametrize(
    ("speech", "dubbed"),
    [
        ({1: 30_000, 2: 0}, 1),
        ({1: 12_000, 2: 40_000}, 1),
        ({1: 11_999, 2: 40_000}, 2),
        ({1: 5_000, 2: 38_000}, 2),
        ({1: 0, 2: 0, 3: 30_000}, 3),
        ({1: 6_000, 2: 8_900}, 1),
        ({1: 6_000, 2: 9_100}, 2),
        ({1: 2_000, 2: 1_999}, 1),
    ],
)
def test_the_chosen_sound_gives_way_where_hardly_anybody_speaks_in_it(
    speech: dict[int, int], dubbed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listened(speech, monkeypatch) == dubbed


def test_without_a_script_the_film_is_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listened({1: 10_000, 2: 40_000}, monkeypatch, written=0) == 1
    assert listened({1: 9_999, 2: 40_000}, monkeypatch, written=0) == 2
    assert listened({1: 200, 2: 0}, monkeypatch, written=0) == 1


def test_where_nobody_speaks_the_other_sounds_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoAudio, match=r"nobody speaks in #1 audio .*; #2 audio .*: there is no"):
        listened({1: 1_999, 2: 0}, monkeypatch)
    with pytest.raises(NoAudio, match=r"in #1 audio .* with audio\.stream: #2 audio"):
        listened({1: 0, 2: 40_000}, monkeypatch, asked=1)
