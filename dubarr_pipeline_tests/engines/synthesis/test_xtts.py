from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from dubarr_pipeline.compute.memory import descendants
from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.xtts import XttsOptions, XttsSynthesizer
from dubarr_pipeline.errors import BadReply, LanguageError, LicenceError, SettingsError
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.services.xtts_model import TOKEN_VARIABLE, SpeechServing, serve_tts

LINE = "He estado sola desde que tengo memoria."


def voice(folder: Path, seconds: float = 3.0, seed: int = 1) -> Voice:
    ref = folder / f"ref {seed} {seconds}.wav"
    noise = np.random.default_rng(seed).standard_normal(round(seconds * 24000)) * 0.1
    write_wave(ref, noise.astype(np.float32), 24000)
    return Voice("S", SpeakerProfile("S"), ref, "Ref.")


def server_of(process: int) -> int:
    """The Python below a supervisor."""
    (found,) = descendants(process)
    return found


@pytest.mark.slow
def test_a_line_survives_its_server_and_nothing_of_it_survives_the_engine(
    tiny_xtts: Path, tmp_path: Path
):
    engine = XttsSynthesizer(XttsOptions(str(tiny_xtts), "cpu", backoff_s=0.01), tmp_path / "logs")
    engine.load()
    process = engine._process
    assert process is not None
    assert process.pid is None
    first = engine.speak(SpeechRequest(LINE, "es", voice(tmp_path)))
    assert process.pid is not None

    killed = server_of(process.pid)
    spoken: list[np.ndarray] = []
    long_line = SpeechRequest(" ".join([LINE] * 6), "es", voice(tmp_path))
    thread = threading.Thread(target=lambda: spoken.append(engine.speak(long_line).samples))
    thread.start()
    time.sleep(0.5)
    os.kill(killed, signal.SIGKILL)
    thread.join()
    assert process.starts == 2
    assert spoken[0].size > 4 * first.samples.size

    again = engine.speak(SpeechRequest(LINE, "es", voice(tmp_path)))
    np.testing.assert_array_equal(first.samples, again.samples)
    other = engine.speak(SpeechRequest(LINE, "es", voice(tmp_path, seed=2)))
    assert not np.array_equal(first.samples[:1000], other.samples[:1000])
    with pytest.raises(BadReply, match=r"0\.50 s long; it must be 1 to"):
        engine.speak(SpeechRequest(LINE, "es", voice(tmp_path, seconds=0.5)))
    with pytest.raises(LanguageError, match="'zh-HK'; it speaks: ar, cs"):
        engine.speak(SpeechRequest(LINE, "zh-HK", voice(tmp_path)))

    supervisor, server = process.pid, server_of(process.pid)
    address = process.url
    engine.unload()
    assert not Path(f"/proc/{supervisor}").exists()
    assert not Path(f"/proc/{server}").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)
    assert "CPML" not in (tmp_path / "logs" / "tts.log").read_text()


def test_needs_and_languages_are_told_without_a_server(tiny_xtts: Path):
    engine = XttsSynthesizer(XttsOptions(str(tiny_xtts)))
    assert all(need.present for need in engine.needs())
    assert engine.serves("zh")
    assert not engine.serves("ca")
    assert engine.clones
    assert not engine.fits_duration
    assert str(tiny_xtts) in engine.identity()
    missing = XttsSynthesizer(XttsOptions("coqui/XTTS-v2")).needs()[1]
    assert (missing.kind, missing.name) == ("model", "coqui/XTTS-v2")
    assert missing.present or "dubarr models pull coqui/XTTS-v2" in missing.cure


def test_the_licence_must_be_accepted_and_others_kept_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(LicenceError, match="--accept-licence CPML"):
        serve_tts(SpeechServing(), str)
    with pytest.raises(SettingsError, match=TOKEN_VARIABLE):
        serve_tts(SpeechServing(host="0.0.0.0", accepted=("CPML",)), str)


def test_the_command_says_what_is_missing(tmp_path: Path):
    found = subprocess.run(
        [
            *(sys.executable, "-m", "dubarr_pipeline.cli.main", "serve", "tts", "--port", "0"),
            *("--model", tmp_path, "--accept-licence", "CPML", "--work-dir", tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert found.returncode == 3
    assert "not an XTTS model: config.json, model.pth, vocab.json missing" in found.stderr
