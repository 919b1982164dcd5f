from __future__ import annotations

from pathlib import Path

from dubarr_pipeline.library.admission import inherit_lines
from dubarr_pipeline.workdir.layout import WorkDir


def folder(root: Path, **files: str) -> WorkDir:
    root.mkdir()
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return WorkDir(root)


def contents(work: WorkDir) -> dict[str, str]:
    found = (path for path in work.root.rglob("*") if path.is_file())
    return {path.relative_to(work.root).as_posix(): path.read_text() for path in found}


def test_lines_and_corrections_go_along_and_nothing_else(tmp_path: Path):
    old = folder(
        tmp_path / "old",
        **{
            "segments.journal": "lines",
            "segments__takes__1.wav": "take",
            "segments__final_es_0.wav": "final",
            "lengths.json": "{}",
            "edits__es.srt": "mine",
            "video.json": "{}",
            "vocals.wav": "sound",
        },
    )
    new = folder(tmp_path / "new")
    inherit_lines(old, new)
    wanted = {
        "segments.journal": "lines",
        "segments/takes/1.wav": "take",
        "lengths.json": "{}",
        "edits/es.srt": "mine",
    }
    assert contents(new) == wanted
    (old.segments / "takes" / "1.wav").write_text("changed")
    inherit_lines(old, new)
    assert contents(new) == wanted, "what is there is not taken again"


def test_a_folder_that_has_lines_of_its_own_keeps_them(tmp_path: Path):
    old = folder(tmp_path / "old", **{"segments.journal": "old", "edits__es.srt": "old"})
    new = folder(tmp_path / "new", **{"segments.journal": "new"})
    inherit_lines(old, new)
    assert contents(new) == {"segments.journal": "new"}


def test_a_folder_that_has_gone_is_nothing_to_inherit(tmp_path: Path):
    new = folder(tmp_path / "new")
    inherit_lines(WorkDir(tmp_path / "gone"), new)
    assert contents(new) == {}
