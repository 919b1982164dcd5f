from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.webhooks import inbox
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.payloads import FileEvent

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
