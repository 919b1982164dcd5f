"""A headless Chromium, driven by its DevTools, for tests that look at pages as a person does."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from websockets.sync.client import ClientConnection, connect

DEADLINE_S = 90.0
MAX_BYTES = 400_000
FEWEST_COLOURS = 50
"""A blank page has one; a line of text alone brings this many by its soft edges."""

# It is shown our own pages only, and neither root nor most containers have its sandbox. All that it
# would do of itself in the network is off, and no name but loopback's leads anywhere.
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--no-default-browser-check", "--disable-default-apps", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--disable-domain-reliability", "--disable-breakpad", "--hide-scrollbars"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)
_PRESS = """(words => {
  const found = [...document.querySelectorAll("a, button, [role=button], span, div")]
    .filter(each => each.innerText === words).pop();
  if (found) found.click();
  return Boolean(found);
})(%s)"""


@dataclass
class Browser:
    """One page.

    Attributes:
        exceptions: what the page's scripts threw and did not catch, since it was opened.
        errors: these, and the errors that stand in its console.
        fetched: the addresses of all that was asked for.
    """

    page: ClientConnection
    exceptions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    _count: int = 0

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give one command and return its answer; what the page reports meanwhile is noted."""
        self._count += 1
        self.page.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while (answer := json.loads(self.page.recv(timeout=DEADLINE_S))).get("id") != self._count:
            self._note(answer["method"], answer["params"])
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.exceptions.append(json.dumps(told["exceptionDetails"]))
            self.errors.append(self.exceptions[-1])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append(json.dumps(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(json.dumps(told["entry"]))
        elif method == "Network.requestWillBeSent":
            self.fetched.append(told["request"]["url"])

    def read(self, expression: str) -> Any:
        """Evaluate an expression in the page."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, f"{expression}: {found}"
        return found["result"].get("value")

    def size(self, width: int, height: int, scale: float = 1.0) -> None:
        """Make the window this large, and the picture of it smaller by the scale."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def open(self, url: str, *words: str) -> str:
        """Go to a page, and wait until all these words stand on it; return its whole text."""
        for noted in (self.exceptions, self.errors, self.fetched):
            noted.clear()
        gone = self.tell("Page.navigate", url=url)
        assert "errorText" not in gone, f"{url}: {gone['errorText']}"
        return self.show(*words)

    def show(self, *words: str) -> str:
        """Wait until all these words stand on the page and nothing changes any more."""
        end, text, last = time.monotonic() + DEADLINE_S, "", ""
        while time.monotonic() < end:
            time.sleep(0.5)
            text = self.read("document.body?.innerText") or ""
            # Dagster's pages count down to their next look at the server.
            still = re.sub(r"\b\d:\d\d\b", "", text)
            there = all(word in text for word in words) and "Loading" not in text
            if there and still == last:
                return text
            last = still
        missing = [word for word in words if word not in text]
        raise AssertionError(f"never showed {missing}, but: {text}; errors: {self.errors}")

    def press(self, words: str) -> None:
        """Click what has these words on it."""
        assert self.read(_PRESS % json.dumps(words)), f"nothing says {words!r} here"

    def shoot(self, path: Path) -> None:
        """Write what the page shows as PNG; it must be something, and small enough for `docs`."""
        data = base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"])
        path.write_bytes(data)
        assert len(data) <= MAX_BYTES, f"{path} has {len(data)} bytes"
        with Image.open(io.BytesIO(data)) as picture:
            colours = picture.convert("RGB").getcolors(picture.width * picture.height)
        assert colours is not None
        assert len(colours) >= FEWEST_COLOURS, f"{path} has {len(colours)} colours"


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium with one page; all that it writes is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        log = Path(profile) / "chromium.log"
        with log.open("wb") as told:
            environment = {**os.environ, "HOME": profile, "XDG_RUNTIME_DIR": profile}
            process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
        try:
            with connect(_page(process, log), max_size=None, proxy=None) as page:
                found = Browser(page)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    found.tell(f"{domain}.enable")
                yield found
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def _page(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the DevTools of the first page listen, as soon as they do."""
    door = log.with_name("DevToolsActivePort")
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        if door.exists() and (port := door.read_text().partition("\n")[0]):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError(f"Chromium does not answer: {log.read_text(errors='replace')[-3000:]}")
