"""Print what players make of our tracks: the sound they choose, its name, the sidecars they find.

Needs mpv, VLC and GStreamer as Debian packages them (docs/players.md names the packages). Each
track of the films is a tone of its own, and what a player plays is written to a file and measured,
so that nothing is believed of what a player says about itself.

    python scripts/try_players.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container.ffmpeg import run
from dubarr_pipeline.media.mux.mux import mux
from dubarr_pipeline.media.mux.options import DefaultPolicy, DubTrack, MuxOptions

RATE = 48_000
TONES = {"en": 300, "es": 500, "pt-BR": 700, "es-419": 900, "zh-Hant": 1100}
"""BCP-47 language -> its tone in Hz."""
DUBS = ("es", "pt-BR")
NEEDED = ("mpv", "cvlc", "gst-launch-1.0", "gst-discoverer-1.0")
PLAYED_S = 60

Play = Callable[[Path, Path, str], list[str]]
"""Takes film, file of sound to write, and preferred language; returns the command."""


def play_mpv(film: Path, sound: Path, language: str, *more: str) -> list[str]:
    """Return the command of mpv, with its own defaults."""
    wanted = [f"--alang={language}"] if language else []
    quiet = ["--no-config", "--no-video", "--ao=pcm", f"--ao-pcm-file={sound}"]
    return ["mpv", *quiet, *wanted, *more, str(film)]


def play_vlc(film: Path, sound: Path, language: str) -> list[str]:
    """Return the command of VLC, which refuses to run as root."""
    wanted = [f"--audio-language={language}"] if language else []
    quiet = ["-I", "dummy", "--no-video", "--aout=afile", f"--audiofile-file={sound}"]
    command = ["cvlc", *quiet, *wanted, str(film), "vlc://quit"]
    return ["runuser", "-u", "nobody", "--", *command] if os.geteuid() == 0 else command


def play_gstreamer(film: Path, sound: Path, _language: str) -> list[str]:
    """Return the command of GStreamer's player element, which takes no language."""
    to_file = f"audioconvert ! audio/x-raw,format=S16LE ! wavenc ! filesink location={sound}"
    sinks = [f"audio-sink={to_file}", "video-sink=fakesink"]
    return ["gst-launch-1.0", "-q", "playbin", f"uri={film.as_uri()}", *sinks]


PLAYERS: dict[str, Play] = {"mpv": play_mpv, "VLC": play_vlc, "GStreamer": play_gstreamer}


def heard(command: Sequence[str], sound: Path) -> str:
    """Run a player and return the language of the tone that it played."""
    sound.unlink(missing_ok=True)
    subprocess.run(command, capture_output=True, timeout=PLAYED_S, check=False)
    if not sound.is_file():
        return "nothing"
    played, rate = soundfile.read(sound, always_2d=True)
    block = played.mean(axis=1)
    if not block.any():
        return "nothing"
    spectrum = np.abs(np.fft.rfft(block * np.hanning(block.size)))
    loudest_hz = float(spectrum.argmax() * rate / block.size)
    return min(TONES, key=lambda language: abs(TONES[language] - loudest_hz))


def listed(player: str, film: Path) -> list[str]:
    """Return the names under which a player lists the tracks of sound."""
    if player == "mpv":
        command = ["mpv", "--no-config", "--no-video", "--ao=null", "--frames=0", str(film)]
    elif player == "GStreamer":
        command = ["gst-discoverer-1.0", "-v", film.as_uri()]
    else:
        command = ["cvlc", "-I", "oldrc", "--rc-fake-tty", "--no-video", "--aout=dummy", str(film)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "nobody", "--", *command]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if player == "VLC":
        # The tracks are known once the film plays.
        subprocess.run(["sleep", "2"], check=True)
        said, _ = process.communicate("atrack\nquit\n", timeout=PLAYED_S)
        return re.findall(r"^\| \d+ - (.+?) *\*?$", said, re.MULTILINE)
    said, _ = process.communicate(timeout=PLAYED_S)
    if player == "mpv":
        return [" ".join(found.split()) for found in re.findall(r"Audio +--aid=(.+)", said)]
    return re.findall(r"(?:title|language code|language name): (.+)", said)


def make_films(folder: Path) -> dict[str, Path]:
    """Make a film, the two ways of dubbing it, and a copy with sidecars of its own."""
    sounds = {}
    for language, hertz in TONES.items():
        time = np.arange(3 * RATE) / RATE
        tone = 0.2 * np.sin(2 * np.pi * hertz * time).astype(np.float32)
        sounds[language] = folder / f"{language}.wav"
        write_wave(sounds[language], np.stack([tone, tone]), RATE)
    source = folder / "Film.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=3"]
    told = ["-metadata:s:a:0", "language=eng", "-disposition:a:0", "default"]
    encoded = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac"]
    run([*picture, "-i", str(sounds["en"]), *encoded, *told, str(source)])
    films = {"source": source}
    tracks = [DubTrack(sounds[language], language) for language in DUBS]
    for policy in ("keep", "dub"):
        films[policy] = folder / policy / "Film.mkv"
        films[policy].parent.mkdir()
        wished: DefaultPolicy = policy
        mux(source, tracks, [], films[policy], MuxOptions(default_policy=wished))
    for language in TONES:
        if language != "en":
            beside = folder / f"beside {language}"
            beside.mkdir()
            shutil.copy(source, beside / "Film.mkv")
            alone = MuxOptions(container="mka")
            made = beside / f"Film.{language}.mka"
            mux(source, [DubTrack(sounds[language], language)], [], made, alone)
            films[made.name] = beside / "Film.mkv"
    return films


def main() -> int:
    """Print three tables: the sound that is chosen, its names, and the sidecars that are found."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        print(f"not installed: {', '.join(missing)} (see docs/players.md)", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        out = folder / "out"
        out.mkdir(mode=0o777)
        out.chmod(0o777)
        films, sound = make_films(folder), out / "played.wav"
        print("| player | policy | asked for | plays |\n|---|---|---|---|")
        for player, play in PLAYERS.items():
            for policy in ("keep", "dub"):
                for asked in ("", "es", "spa", "pt", "por", "pt-BR", "en"):
                    if asked and player == "GStreamer":
                        continue
                    played = heard(play(films[policy], sound, asked), sound)
                    print(f"| {player} | {policy} | {asked or '-'} | {played} |")
        print("\n| player | lists the tracks as |\n|---|---|")
        for player in PLAYERS:
            print(f"| {player} | {'; '.join(listed(player, films['keep']))} |")
        print("\n| sidecar | mpv | mpv, exact | mpv, fuzzy | VLC |\n|---|---|---|---|---|")
        for beside in (each for each in films if each.endswith(".mka")):
            language, film = beside.split(".")[1], films[beside]
            ways = [
                play_mpv(film, sound, language),
                play_mpv(film, sound, language, "--audio-file-auto=exact"),
                play_mpv(film, sound, language, "--audio-file-auto=fuzzy"),
                play_vlc(film, sound, language),
            ]
            found = ["yes" if heard(way, sound) == language else "no" for way in ways]
            print(f"| `{beside}` | {' | '.join(found)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
