"""A headless Chromium that tests drive: the DevTools protocol over two pipes, so no port and no client library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
_PATIENCE = 60  # seconds, on a machine that does other things as well


class Browser:
    """One tab, as a context manager.

    Args:
        profile: folder to be made for it.
        options: of Chromium's command line.
    """

    def __init__(self, profile: Path, *options: str) -> None:
        commands, answers = os.pipe(), os.pipe()
        # Chromium reads descriptor 3 and writes descriptor 4; from 10 on, they are in the way of neither.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands[0], answers[1])]
        self._write, self._read = commands[1], answers[0]
        fixed = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]

        def place() -> None:
            for number, end in zip((3, 4), theirs, strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [str(CHROMIUM), *fixed, f"--user-data-dir={profile}", *options, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=place,
        )
        for end in (*theirs, commands[0], answers[1]):
            os.close(end)
        self._rest, self._number, self._session = b"", 0, ""
        self.console: list[str] = []

    def __enter__(self) -> Browser:
        (target,) = (each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._target = target["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and what it returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _PATIENCE
        while True:
            answer = self._receive(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def open(self, address: str) -> None:
        """Go there and wait until the page and its scripts are loaded."""
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition: str) -> Any:
        """Wait until an expression in the page is true; returns its value."""
        end = time.monotonic() + _PATIENCE
        while not (value := self.run(condition)):
            assert time.monotonic() < end, f"{condition} did not come true; {self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def give_file(self, selector: str, path: Path) -> None:
        """Choose a file in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Of the visible part, CSS pixels; and whether the user likes dark pages."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Save the whole page as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.console.append(json.dumps(answer["params"])[:500])
        return answer
