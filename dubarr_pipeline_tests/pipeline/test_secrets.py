"""Tokens go by environment or file; nothing listens beyond loopback; no shell reads our words."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import dubarr_pipeline
from dubarr_pipeline.config.libraries import RescanOptions
from dubarr_pipeline.config.options import WebhookOptions
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.webhooks.inbox import TOKEN_VARIABLE
from dubarr_pipeline.services.http_client import ServerOptions
from dubarr_pipeline.services.llm_client import LanguageModelOptions
from dubarr_pipeline.services.xtts_model import SpeechServing

PACKAGE = Path(dubarr_pipeline.__file__).parent
ROOT = PACKAGE.parent
PROGRAMS = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
SECRET = "S3CRETT0KEN-of-some-length"
EVERYWHERE = ("0.0.0.0", "::", "")
SHELLS = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}


def shell_calls(source: str) -> list[str]:
    """Whatever hands words to a shell."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        shell = next((k for k in node.keywords if k.arg == "shell"), None)
        if shell and not (isinstance(shell.value, ast.Constant) and shell.value.value is False):
            found.append(ast.unparse(node))
        if isinstance(node.func, ast.Attribute) and node.func.attr in SHELLS:
            found.append(ast.unparse(node))
    return found


def test_no_shell_reads_our_words():
    assert shell_calls("import os\nos.system(x)\nrun(y, shell=True)\nrun(y, shell=z)") != []
    assert {str(p): f for p in PROGRAMS if (f := shell_calls(p.read_text(encoding="utf-8")))} == {}


def test_nothing_is_bound_beyond_loopback_by_itself():
    # Set-up proposes it to a person, where a server on another machine is to reach the receiver.
    proposes = PACKAGE / "library" / "setup" / "planning.py"
    for program in (each for each in PROGRAMS if each != proposes):
        strings = {
            node.value
            for node in ast.walk(ast.parse(program.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert strings.isdisjoint(EVERYWHERE[:2]), program
    assert WebhookOptions().host == SpeechServing().host == "127.0.0.1"
    assert "127.0.0.1" in LanguageModelOptions().url


def test_the_ui_is_started_where_dagster_starts_it_which_is_loopback():
    from dagster._cli.dev import dev_command

    (host,) = (option for option in dev_command.params if option.name == "host")
    assert not isinstance(host.default, str), "left to the webserver"
    from dagster_webserver.cli import DEFAULT_WEBSERVER_HOST

    assert DEFAULT_WEBSERVER_HOST == "127.0.0.1"
    (line,) = re.findall(r".*report_pages dev.*", (ROOT / "Makefile").read_text())
    assert not re.search(r" (-h|--host)\b", line)


def listening(pid: int) -> set[str]:
    """The hexadecimal addresses on which a process listens (proc(5), /proc/net/tcp)."""
    folder = Path(f"/proc/{pid}")
    sockets = {str(each.readlink()) for each in (folder / "fd").iterdir() if each.exists()}
    rows = [
        row.split()
        for name in ("tcp", "tcp6")
        for row in (folder / "net" / name).read_text().splitlines()[1:]
    ]
    return {r[1].partition(":")[0] for r in rows if r[3] == "0A" and f"socket:[{r[9]}]" in sockets}


def test_the_webhook_server_is_on_loopback_and_says_its_token_nowhere(tmp_path: Path):
    (tmp_path / "films").mkdir()
    config = tmp_path / "dubarr.toml"
    config.write_text(
        f'[libraries.films]\npath = "{tmp_path}/films"\ntarget_langs = ["es"]\n'
        "[webhooks]\nport = 0\n"
    )
    command = [str(Path(sys.executable).with_name("dubarr")), "serve", "webhooks"]
    given = {"DUBARR_CONFIG": str(config), "DUBARR_WORK_DIR": str(tmp_path / "work")}
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command,
            env={**os.environ, **given, TOKEN_VARIABLE: SECRET, "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
        )
    try:
        end = time.monotonic() + 90
        while not (found := re.search(r"http://[\d.]+:\d+", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        for headers in ({}, {"Authorization": f"Bearer {SECRET}"}):
            httpx.post(f"{found[0]}/generic", json={"path": "/x"}, headers=headers)
        assert listening(server.pid) == {"0100007F"}
        command_line = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    finally:
        server.terminate()
        server.wait(30)
    assert SECRET.encode() not in command_line
    assert SECRET not in log.read_text()
    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in left)


@pytest.mark.parametrize(
    "text",
    [
        f'[failures]\nnotify = "slack://{SECRET}"\n',
        f'[failures]\nnotify = [["slack://{SECRET}"]]\n',
        f'[rescans.a]\nkind = "plex"\nurl = "ftp://a:{SECRET}@host"\ntoken_variable = "X"\n',
        f'[rescans.a]\nkind = "plex"\nurl = "http://a:{SECRET}@host"\ntoken_variable = "X"\n',
        f'[rescans.a]\nkind = "plex"\nurl = "http://host?token={SECRET}"\ntoken_variable = "X"\n',
        f'[rescans.a]\nkind = "plex"\nurl = "http://host"\ntoken_variable = ["{SECRET}"]\n',
        f'[llm]\nkey_variable = ["{SECRET}"]\n',
    ],
)
def test_a_wrong_setting_does_not_repeat_a_secret(tmp_path: Path, text: str):
    (tmp_path / "dubarr.toml").write_text(text)
    with pytest.raises(SettingsError) as told:
        load_settings(tmp_path / "dubarr.toml")
    assert SECRET not in str(told.value)


def test_options_in_a_traceback_show_no_key():
    assert SECRET not in repr(ServerOptions("http://127.0.0.1/v1", key=SECRET))
    assert "X" in repr(RescanOptions("plex", "http://host", "X"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a" + ".a" * 100_000 + " = 1",
        "a = " + "9" * 100_000,
        "#" * (5 << 20),
        '[libraries.a]\npath = "~no-such-user/films"\n',
        '[libraries.a]\npath = "/a\\u0000b"\ntarget_langs = ["es"]\n',
    ],
)
def test_settings_of_any_size_and_depth_end_in_a_named_error(tmp_path: Path, text: str):
    (tmp_path / "dubarr.toml").write_text(text)
    with pytest.raises(SettingsError) as told:
        load_settings(tmp_path / "dubarr.toml")
    assert len(str(told.value)) < 3_000
