"""Take screenshots of the site in headless Chromium: phone and desktop, light and dark.

    python scripts/screenshots.py DIRECTORY [PAGE ...]

``make docs`` builds the site first. Without pages, it shows one of each kind. It prints a line for
each request to a network, and for each element that makes a page wider than its screen; then the
exit status is 1. ``CHROMIUM`` is the program, by default ``chromium``.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SITE = Path(__file__).parents[1] / "site"
PAGES = (
    *("index", "tutorial/index", "how-to/index", "how-to/image", "how-to/workflows"),
    *("reference/index", "reference/settings", "reference/dag", "reference/runtime"),
    *("explanation/index", "explanation/execution-flow", "explanation/security"),
    *("decisions/0001-versions-from-git", "benchmarks", "changelog"),
)
SCREENS = {"phone": (390, 844), "desktop": (1280, 900)}
LONGEST = 4000
"""The height of a picture, in pixels: more of a page shows nothing new."""
_WIDE = """
(() => {
  const lines = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    for (const element of document.querySelectorAll(".md-content *")) {
      const scrolls = element.closest("pre, .md-typeset__scrollwrap, code, svg");
      if (!scrolls && element.getBoundingClientRect().right > width + 1)
        lines.push(element.tagName + " " + element.textContent.trim().slice(0, 60));
    }
  return lines.slice(0, 3);
})()
"""


class Chromium:
    """A headless Chromium that takes commands of the DevTools protocol from a pipe.

    https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, profile: str) -> None:
        program = os.environ.get("CHROMIUM", "chromium")
        if shutil.which(program) is None:
            message = f"Chromium is not installed: got {program!r}\n  apt install chromium"
            raise SystemExit(message)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        options = ("--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--hide-scrollbars")
        # Chromium reads from descriptor 3 and writes to descriptor 4.
        redirect = f'exec "$@" 3<&{commands} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", program, *options, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._unread = b""
        self._number = 0
        self.requests: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call("Page.enable")
        self.call("Network.enable")

    def call(self, method: str, **parameters: object) -> Any:
        """Send a command; return its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url: str) -> None:
        """Open a page, and return when it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._read()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return done["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.call("Browser.close")
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            received = os.read(self._answers, 1 << 20)
            if not received:
                raise SystemExit("Chromium has ended")
            self._unread += received
        message, _, self._unread = self._unread.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        if answer.get("method") == "Page.loadEventFired":
            self._loaded = True
        if answer.get("method") == "Network.requestWillBeSent":
            self.requests.append(answer["params"]["request"]["url"])
        return answer


def screenshots(directory: Path, pages: tuple[str, ...], address: str) -> list[str]:
    """Write the pictures of the pages; return what is wrong with them."""
    wrong = []
    with tempfile.TemporaryDirectory() as profile:
        browser = Chromium(profile)
        for screen, (width, height) in SCREENS.items():
            for colours in ("light", "dark"):
                browser.call(
                    "Emulation.setEmulatedMedia",
                    features=[{"name": "prefers-color-scheme", "value": colours}],
                )
                for page in pages:
                    size = {"width": width, "height": height, "deviceScaleFactor": 1}
                    browser.call(
                        "Emulation.setDeviceMetricsOverride", **size, mobile=screen == "phone"
                    )
                    browser.open(f"{address}/{page}.html")
                    browser.evaluate("new Promise(requestAnimationFrame)")
                    # The tabs of a page fade in.
                    browser.evaluate("document.getAnimations().forEach(one => one.finish())")
                    if colours == "light":
                        wide = browser.evaluate(_WIDE)
                        wrong += [f"{page}: wider than a {screen}: {line}" for line in wide]
                    _write(browser, directory / f"{page.replace('/', '-')}-{screen}-{colours}.png")
        wrong += [
            f"a request to a network: {url}"
            for url in dict.fromkeys(browser.requests)
            if not url.startswith((address, "data:", "about:", "blob:"))
        ]
        browser.close()
    return wrong


def _write(browser: Chromium, file: Path) -> None:
    content = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "scale": 1, "width": content["width"]}
    clip["height"] = min(content["height"], LONGEST)
    picture = browser.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    file.write_bytes(base64.b64decode(picture["data"]))


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main(arguments: list[str]) -> int:
    """Take the screenshots; return the exit status."""
    if not arguments:
        raise SystemExit(__doc__)
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    pages = tuple(page.removesuffix(".md") for page in arguments[1:]) or PAGES
    missing = [page for page in pages if not (SITE / f"{page}.html").is_file()]
    if missing:
        raise SystemExit(f"the site lacks pages: {', '.join(missing)}\n  make docs")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wrong = screenshots(directory, pages, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
