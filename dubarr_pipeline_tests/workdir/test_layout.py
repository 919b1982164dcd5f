from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline.files import whole_file, write_json
from dubarr_pipeline.workdir import layout
from dubarr_pipeline.workdir.layout import WorkDir, exclusive


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return WorkDir(tmp_path / "film-0a1b2c3d")


@given(st.text(min_size=1, max_size=300), st.sampled_from(["es", "pt-BR", "zh-Hant-TW"]))
def test_subtitles_always_have_a_name_that_fits(stem: str, language: str) -> None:
    try:
        os.fsencode(stem)
    except UnicodeEncodeError:
        return
    name = WorkDir(Path("/work/film")).subtitles(stem.replace("/", "").replace("\0", ""), language)
    assert len(os.fsencode(name.name)) <= 255
    assert name.name.endswith(f".{language}.srt")
    assert name.name != f".{language}.srt"
    assert "\n" not in name.name


# One process at a time

_HOLDER = """
import sys
from pathlib import Path
from dubarr_pipeline.workdir.layout import WorkDir, exclusive
with exclusive(WorkDir(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(work: WorkDir):
    """Another process that holds the video."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, work.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_video_is_busy_until_its_holder_is_gone(work: WorkDir, holder) -> None:
    with pytest.raises(VideoBusy, match="wait for it"), exclusive(work):
        pytest.fail("held twice")
    with exclusive(WorkDir(work.root.with_name("another-11112222"))):
        pass
    holder.kill()
    holder.wait()
    with exclusive(work):
        assert (work.root / ".lock").is_file()


def test_the_holder_may_ask_again(work: WorkDir) -> None:
    with exclusive(work):
        with exclusive(work):
            pass
        assert work.root in layout._held.get()
        with pytest.raises(InterruptedError), exclusive(work):
            raise InterruptedError
    assert not layout._held.get()


def test_whoever_takes_a_video_sweeps_what_a_killed_process_left(work: WorkDir) -> None:
    whole = [work.muxed, work.take("es", 0), work.root / "a.part.srt", work.edits / "es.srt"]
    left = [
        work.root / ".vocals.part.x1y2.wav",
        work.segments / "takes" / ".es_0_ab.wav.part",
        work.checkpoints / ".mix.part.abc.json",
    ]
    for path in (*whole, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with exclusive(work):
        assert all(path.exists() for path in whole)
        assert not any(path.exists() for path in left)
        with whole_file(work.report) as temporary, exclusive(work):
            temporary.write_text("under way")
    assert work.report.read_text() == "under way"


def test_removing_a_video_leaves_a_persons_corrections(work: WorkDir) -> None:
    for path in (work.video, work.take("es", 0), work.checkpoints / "mix.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    work.remove()
    assert not work.root.exists()
    work.edits.mkdir(parents=True)
    (work.edits / "es.json").write_text(json.dumps({}))
    write_json(work.video, {})
    work.remove()
    assert [path.name for path in work.root.iterdir()] == ["edits"]
