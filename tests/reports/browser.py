"""Debian's Chromium, driven through its DevTools protocol over a pipe; the standard library is all it needs."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT = 60.0
"""Seconds after which a browser that says nothing is given up: a bound against hanging, nothing is measured."""

_CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_KEYS = {"Tab": 9, "Enter": 13, "Space": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def find_chromium() -> str | None:
    """Path of the browser: ``RELMEASURE_CHROMIUM`` where it is set ("none" for no browser), else the first on the path."""
    given = os.environ.get("RELMEASURE_CHROMIUM", "")
    if given:
        return None if given == "none" else given
    return next((found for name in _CANDIDATES if (found := shutil.which(name))), None)


class BrowserError(Exception):
    """The browser refused a command, threw an exception, or fell silent."""


class Page:
    """One page of a browser: what a person can do with it, and what it shows."""

    def __init__(self, pid: int, read: int, write: int, downloads: Path) -> None:
        self.pid, self.downloads = pid, downloads
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._read, self._write = read, write
        self._ids = itertools.count(1)
        self._buffer = b""
        self._loaded = False
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility"):
            self.send(f"{domain}.enable")
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads), eventsEnabled=True)

    # ----- protocol
    def send(self, method: str, **params: Any) -> Any:
        """Send a command and wait for its answer."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], WAIT)
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise BrowserError("the browser fell silent")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Page.javascriptDialogOpening":
            self.dialogs.append(params["type"])
            self._post("Page.handleJavaScriptDialog", accept=True)
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("text", "exception"))
        elif event == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])

    def _post(self, method: str, **params: Any) -> None:
        """Send a command whose answer nobody waits for."""
        message = {"id": next(self._ids), "method": method, "params": params, "sessionId": self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")

    # ----- what a person does
    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self._loaded = False
        self.send("Page.navigate", url=address)
        while not self._loaded:
            self._next()
        self.dialogs, self.requests, self.complaints = [], [], []

    def leave(self) -> list[str]:
        """Go to an empty page and return the kinds of dialogs that stood in the way; each was agreed to."""
        self.dialogs = []
        self._loaded = False
        self.send("Page.navigate", url="about:blank")
        while not self._loaded:
            self._next()
        return self.dialogs

    def press(self, *keys: str) -> None:
        """Press keys one after the other: a name such as Tab, or a character."""
        for key in keys:
            code = _KEYS.get(key, ord(key.upper()[0]))
            text = {"Space": " ", "Enter": "\r"}.get(key, key if len(key) == 1 else "")
            name = " " if key == "Space" else key
            shared = {"key": name, "code": key, "windowsVirtualKeyCode": code}
            self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **shared)
            self.send("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, with the mouse."""
        box = self.run(
            "(() => { const e = document.querySelector(" + json.dumps(selector) + ");"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def saved_file(self, name: str) -> bytes:
        """Wait for a downloaded file and return what it holds; it is moved away, so that the next has the same name."""
        path = self.downloads / name
        for _ in range(int(WAIT * 20)):
            self.run("1")
            if path.exists() and not list(self.downloads.glob("*.crdownload")):
                data = path.read_bytes()
                path.unlink()
                return data
            time.sleep(0.05)
        raise BrowserError(f"{name} was not saved")

    # ----- what it shows
    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"].get("exception", {}).get("description", answer)))
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """Text of an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).textContent"))

    def focus(self) -> str:
        """Which element has the focus: its id, or its question and value."""
        return str(
            self.run(
                "(() => { const e = document.activeElement; return e.id || e.name + '=' + e.value ||e.className; })()"
            )
        )

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of what a screen reader meets, in order."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the size of the window, or of the screen of a phone."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write a picture of the page, or of the window."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        """Print the page to a file."""
        answer = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def browser(executable: str, folder: Path, *, arguments: Sequence[str] = ()) -> Iterator[Page]:
    """Start a browser of its own with an empty profile, and end it."""
    downloads = folder / "downloads"
    downloads.mkdir(parents=True)
    words = [
        executable,
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder / 'profile'}",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-default-browser-check",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        *arguments,
        "about:blank",
    ]
    to_browser, write = map(_high, os.pipe())
    read, from_browser = map(_high, os.pipe())
    log = os.open(folder / "browser.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    actions = [
        (os.POSIX_SPAWN_DUP2, to_browser, 3),
        (os.POSIX_SPAWN_DUP2, from_browser, 4),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    environment = {**os.environ, "HOME": str(folder)}
    pid = os.posix_spawn(executable, words, environment, file_actions=actions, setsid=True)
    for end in (to_browser, from_browser, log):
        os.close(end)
    try:
        page = Page(pid, read, write, downloads)
        yield page
    finally:
        _end(pid)
        os.close(read)
        os.close(write)


def _high(end: int) -> int:
    """The same end of a pipe under a number that cannot collide with 3 and 4."""
    moved: int = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(end)
    return moved


def _end(pid: int) -> None:
    """End the browser and what it started: a session of its own."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(pid, name)
        for _ in range(50):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    time.sleep(0.1)
                    continue
            break
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
