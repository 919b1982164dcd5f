from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.webhooks import inbox
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline.library.webhooks.titles import TitleEvent

NEW = FileEvent("arrived", "/films/A.mkv")
OTHER = FileEvent("arrived", "/films/B.mkv")


def test_messages_come_back_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    assert box.names() == []
    put = [box.put("films", event) for event in (NEW, OTHER)]
    assert box.names() == [message.name for message in put]
    assert [box.read(name) for name in box.names()] == put
    assert put[0].event == NEW
    assert put[0].library == "films"


def test_the_same_event_again_replaces_the_older_message(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    first, other, again = (box.put("films", event) for event in (NEW, OTHER, NEW))
    assert box.names() == [other.name, again.name]
    assert first.name not in box.names()
    box.put("series", NEW)
    assert len(box.names()) == 3


def test_odd_names_come_back_byte_for_byte(tmp_path: Path) -> None:
    event = FileEvent("renamed", "/films/caf\udce9.mkv", "/films/\U0001f3ac.mkv")
    box = Inbox(tmp_path)
    assert box.read(box.put("films", event).name).event == event


def test_dropped_messages_are_gone_and_dropping_again_is_no_error(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    first, other = box.put("films", NEW), box.put("films", OTHER)
    for _ in range(2):
        box.drop([first.name])
        assert box.names() == [other.name]


def test_a_full_inbox_takes_nothing_and_names_the_sensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_MESSAGES", 1)
    box = Inbox(tmp_path)
    box.put("films", NEW)
    with pytest.raises(ArtifactError, match="webhook_inbox"):
        box.put("films", OTHER)
    assert len(box.names()) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema": 1}', '{"schema": 1, "library": "films", "event": {}}']
)
def test_a_damaged_message_is_named(tmp_path: Path, content: str) -> None:
    box = Inbox(tmp_path)
    name = box.put("films", NEW).name
    (box.folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match=name):
        box.read(name)


def test_a_later_event_of_a_file_keeps_what_only_the_earlier_one_told(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    box.put("films", FileEvent("arrived", "/films/A.mkv", None, ("/films/old.mkv",), ("kids",)))
    last = box.put("films", NEW)
    assert box.names() == [last.name]
    assert box.read(last.name).event == FileEvent(
        "arrived", "/films/A.mkv", None, ("/films/old.mkv",), ("kids",)
    )


def test_titles_and_messages_of_earlier_versions_are_read(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    title = box.put("", TitleEvent("Show", None, 1, 2, ("tvdb-1",)))
    assert box.read(title.name) == title
    old = {"kind": "renamed", "path": "/films/B.mkv", "previous": "/films/b.mkv"}
    write_json(box.folder / "1-a.json", {"library": "films", "received_s": 1.0, "event": old})
    assert box.read("1-a.json").event == FileEvent("renamed", "/films/B.mkv", "/films/b.mkv")
