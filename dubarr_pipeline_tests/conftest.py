"""What all tests share."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
import sqlalchemy.event
from hypothesis import HealthCheck, settings

from dubarr_pipeline_tests.fakes.tiny import kokoro
from dubarr_pipeline_tests.fakes.tiny.building import built
from dubarr_pipeline_tests.fixtures.bench import Bench, make_film
from dubarr_pipeline_tests.fixtures.made_once import made_once

# The folder where a process works unless told otherwise is nobody's: tests leave names in it.
_home = tempfile.TemporaryDirectory(prefix="dubarr-tests-")
os.environ["DUBARR_WORK_DIR"] = _home.name

# What starts the tests in the background may have it ignore signals, and with it all that the tests
# start and mean to stop.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        _usual = signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, _usual)

# A test process holds a million objects, and looking through them all is a tenth of its work; of
# the processes that tests start, whose work is to load modules, it is a sixth.
gc.set_threshold(50_000)
_ours = str(Path(__file__).parent / "fixtures" / "site")
_paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([_ours, *_paths]))

# The list of authorities is read for 20 ms, by every client; those of the tests share it.
_transports = httpx._transports.default
_transports.create_ssl_context = functools.cache(_transports.create_ssl_context)


def _await_no_disk(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


# What a killed process has committed is there even so: only a loss of power needs more.
sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _await_no_disk)

# A busy machine is no fault of the code: examples are counted, never timed.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

SHARED_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


_LONGEST_FIRST = (
    *("test_unattended", "test_server", "test_serve_library", "test_queue", "test_workers"),
    *("test_postgres", "test_cluster", "test_faults", "test_studio", "test_library_walk"),
    *("test_twenty_films", "test_edited_lines", "test_embedding", "test_demucs", "test_dub"),
    *("test_library_benchmark", "test_dubbing", "test_leases"),
)
"""Files that take minutes, by name; what waits most comes first.

A worker takes its next file before its last test begins. So a short file stands where the worker
with the single long test takes its second one.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, then the whole pipeline, so that no core waits at the end."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        name, is_whole = item.path.stem, item.path.parent.name == "pipeline"
        is_long = name in _LONGEST_FIRST
        return _LONGEST_FIRST.index(name) if is_long else len(_LONGEST_FIRST), not is_whole

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A report may show a file name that is no UTF-8: it goes to its reader with escapes."""
    return _sendable((yield))


def _sendable(told: Any) -> Any:
    if isinstance(told, str):
        return told.encode("utf-8", "backslashreplace").decode()
    if isinstance(told, dict):
        return {_sendable(name): _sendable(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return type(told)(_sendable(each) for each in told)
    return told


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The real speech, music and video beside the checkout; its absence is told."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip(f"no shared media: {SHARED_MEDIA} is not there")
    return SHARED_MEDIA


@pytest.fixture(scope="session")
def tiny_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds with two spoken lines and their subtitles beside; never to be changed."""
    made = made_once("tiny-film", tmp_path_factory, lambda folder: make_film(folder / "tiny.mkv"))
    return made / "tiny.mkv"


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo video with its truth and stems, as `demo_video` leaves a folder; never to change."""
    from dubarr_pipeline.demo.video import demo_video

    return made_once("demo-video", tmp_path_factory, demo_video)


@pytest.fixture
def film(tiny_film: Path, tmp_path: Path) -> Path:
    """A copy of the tiny film that a test may do with as it likes."""
    folder = tmp_path / "library"
    shutil.copytree(tiny_film.parent, folder)
    return folder / tiny_film.name


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty work folder, and the commands on it."""
    return Bench(tmp_path / "work")


@pytest.fixture(scope="session")
def dubbed_once(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny film in Spanish and Catalan; never to be changed."""

    def dub(folder: Path) -> None:
        answer = Bench(folder).dub(tiny_film, "es,ca")
        assert answer.code == 0, answer.both

    return Bench(made_once("dubbed", tmp_path_factory, dub))


@pytest.fixture
def dubbed(dubbed_once: Bench, tmp_path: Path) -> Bench:
    """A copy of a finished work folder, on which a test may go on."""
    folder = tmp_path / "work"
    shutil.copytree(dubbed_once.work_dir, folder)
    return Bench(folder)


@pytest.fixture(scope="session")
def tiny_pyannote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyannote.audio pipeline that tells tones apart; never to be changed."""
    return built("pyannote", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper that recites the lines of the tiny film; never to be changed."""
    return built("whisper", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that knows the lines of the tiny film by heart; never to be changed."""
    return built("llm", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XTTS model that speaks noise as long as the text; never to be changed."""
    return built("xtts", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_kokoro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kokoro model that hums, in the hub's layout; never to be changed."""
    return kokoro.build(tmp_path_factory.mktemp("tiny") / "kokoro", pace=1.9)


@pytest.fixture(scope="session")
def tiny_m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An M2M100 with one sentence for each language; never to be changed."""
    return built("m2m100", tmp_path_factory) / "m2m100"


@pytest.fixture(scope="session")
def tiny_marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Firefox's models of four pairs, one sentence each; never to be changed."""
    return built("marian", tmp_path_factory)
