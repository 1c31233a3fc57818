"""A real browser without a window, driven over pipes by its DevTools protocol
(https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.waiting import until_blocking

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip

_ON_PIPES: Final = """
import os, sys
reading, writing = (os.dup(int(each)) for each in sys.argv[1:3])
os.dup2(reading, 3)
os.dup2(writing, 4)
for each in (3, 4):
    os.set_inheritable(each, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Becomes the browser, which reads commands from 3 and writes to 4."""


class Tab:
    """One tab of a browser of its own.

    Attributes:
        logged: What the page wrote to the console, its errors and violations of its policy.
        requested: The address of every request it made, also of one that its policy blocked.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self.logged: list[str] = []
        self.requested: list[str] = []
        self._reading = reading
        self._writing = writing
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; returns its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, url: str, width: int = 1280, height: int = 800, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, expression: str) -> Any:
        """The value of a JavaScript expression, once it is true; no element of the page."""
        return until_blocking(lambda: self.evaluate(expression))

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def set_frozen(self, frozen: bool) -> None:
        """Freeze the page as browsers freeze tabs in the background, or let it go on."""
        self.call("Page.setWebLifecycleState", state="frozen" if frozen else "active")

    def picture(self, path: Path) -> None:
        """Save what it looks like, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _next(self) -> Any:
        while b"\0" not in self._buffer:
            data = os.read(self._reading, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Any) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.logged.append(json.dumps(event["params"]["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.requested.append(event["params"]["request"]["url"])
            case "Log.entryAdded":
                self.logged.append(event["params"]["entry"]["text"])


@contextmanager
def browsing(profile: Path) -> Iterator[Tab]:
    """A tab of a browser started for it, with a profile of its own."""
    assert CHROMIUM is not None
    from_us, writing = os.pipe()
    reading, to_us = os.pipe()

    process = subprocess.Popen(
        [sys.executable, "-c", _ON_PIPES, str(from_us), str(to_us),
         CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(from_us, to_us), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    os.close(from_us)
    os.close(to_us)
    try:
        tab = Tab(reading, writing)
        yield tab
        with suppress(OSError, AssertionError):
            tab.call("Browser.close")
    finally:
        os.close(writing)
        os.close(reading)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
