"""A cluster of one node: Kubernetes' API for jobs on loopback, each pod a process of its own.

The node has imported everything, and a pod is forked from it: a stage of a tiny film takes less
than the imports. One line may halt in the middle of being spoken, for whoever kills its pod.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster._cli import create_dagster_cli

import dubarr_pipeline.definitions as _  # noqa: F401
from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer

JOBS = "/apis/batch/v1/namespaces/default/jobs"


@dataclass
class Node:
    """What was asked of the API.

    Attributes:
        waiting: jobs whose pods are not started yet.
        pods: process of each job's pod.
        ends: exit status of each pod that ended.
    """

    jobs: dict[str, Any] = field(default_factory=dict[str, Any])
    waiting: list[str] = field(default_factory=list[str])
    pods: dict[str, int] = field(default_factory=dict[str, int])
    ends: dict[str, int] = field(default_factory=dict[str, int])

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and document of a request."""
        if (method, path) == ("POST", JOBS):
            name = body["metadata"]["name"]
            if name in self.jobs:
                return 409, {"reason": "AlreadyExists"}
            self.jobs[name] = body
            self.waiting.append(name)
            return 201, body
        name = path.removeprefix(f"{JOBS}/").removesuffix("/status")
        if method != "GET" or name not in self.jobs:
            return 404, {"reason": "NotFound"}
        return 200, {**self.jobs[name], "status": self._status(name)}

    def _status(self, name: str) -> dict[str, int]:
        if name in self.pods and name not in self.ends:
            pid, status = os.waitpid(self.pods[name], os.WNOHANG)
            if pid:
                self.ends[name] = status
        if name not in self.ends:
            return {"active": 1}
        return {"failed": 1} if self.ends[name] else {"succeeded": 1}

    def fork_waiting(self) -> list[str] | None:
        """Start what waits; in a pod, return its command."""
        while self.waiting:
            name = self.waiting.pop()
            (container,) = self.jobs[name]["spec"]["template"]["spec"]["containers"]
            if pid := os.fork():
                self.pods[name] = pid
                continue
            given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
            os.environ.update(given)
            return container["args"]
        return None


def make_halt(log: Path, at: int) -> None:
    """Note each line that is spoken, with the process, and halt for ever at one of them, once."""
    speak = EspeakSynthesizer.speak

    def told(self: EspeakSynthesizer, request: SpeechRequest) -> Speech:
        spoken = log.read_text().count("\n") if log.exists() else 0
        with log.open("a") as out:
            out.write(
                f"{os.getpid()}|{request.voice.speaker}|{request.duration_s}|{request.text}\n"
            )
        if spoken == at:
            threading.Event().wait()
        return speak(self, request)

    EspeakSynthesizer.speak = told


def main() -> None:
    """Serve, with arguments: where to write the port, where the lines, which of them halts."""
    port, log, at = sys.argv[1:]
    make_halt(Path(log), int(at))
    node = Node()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if length else None
            status, document = node.answer(self.command, self.path.partition("?")[0], body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        Path(port).write_text(str(server.server_port))
        command = None
        while command is None:
            server.handle_request()
            command = node.fork_waiting()
    create_dagster_cli()(args=command[1:], auto_envvar_prefix="DAGSTER_CLI")


if __name__ == "__main__":
    main()
