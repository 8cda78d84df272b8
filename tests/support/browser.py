"""A real browser for the tests: headless Chromium of Debian, driven by chromedriver (the W3C WebDriver protocol)."""

import base64
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.servers import PATIENCE, Process, wait_for
from tests.servers.tools import why_missing

TOOLS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own name for a reference to an element


def _properties(node: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["value"].get("value") for one in node.get("properties", ())}


def why_no_browser() -> str | None:
    """Why there is no browser here, as a sentence; None when there is one. What lacks is installed first."""
    return why_missing("Tests in a browser", TOOLS)


class Browser:
    """One Chromium with a profile of its own. `width` and `height` are its window's, in pixels."""

    def __init__(self, *, width: int = 1200, height: int = 800, dark: bool = False) -> None:
        self._profile = tempfile.mkdtemp(prefix="leasehold-browser-")
        self._size = width, height
        self._dark = dark
        self._driver = Process(["chromedriver", "--port=0"], name="chromedriver")
        self._base = ""

    def __enter__(self) -> Self:
        self._driver.start()
        words = "started successfully on port "
        wait_for(lambda: words in self._driver.log_tail(), "chromedriver to listen", 120)
        port = int(self._driver.log_tail().partition(words)[2].split(".")[0])
        self._base = f"http://127.0.0.1:{port}/session"
        width, height = self._size
        arguments = [*_ARGUMENTS, f"--user-data-dir={self._profile}", f"--window-size={width},{height}"]
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/{made['sessionId']}"
        features = [{"name": "prefers-color-scheme", "value": "dark" if self._dark else "light"}]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.close()
            shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, url: str) -> None:
        """Go there; returns when the document is loaded."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """What a function's body returns in the page."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector: str) -> list[str]:
        """The visible text of each element that the selector finds."""
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.trim())"
        return [str(text) for text in self.run(script, selector)]

    def text(self, selector: str) -> str:
        """The visible text of the first one; empty if there is none."""
        return next(iter(self.texts(selector)), "")

    def wait(self, script: str, *arguments: object, timeout: float = PATIENCE) -> None:
        """Wait until a function's body returns something true."""
        wait_for(lambda: bool(self.run(script, *arguments)), f"the page to be so: {script}", timeout)

    def wait_text(self, selector: str, text: str, timeout: float = 120.0) -> None:
        """Wait until the element's text has this in it."""
        self.wait(
            "return (document.querySelector(arguments[0])?.innerText || '').includes(arguments[1])",
            selector,
            text,
            timeout=timeout,
        )

    def click(self, selector: str) -> None:
        """Click the first element that the selector finds."""
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._ask("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def complaints(self) -> list[str]:
        """What the browser's console says that is an error or a warning, among them violated security policies."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requested(self) -> list[str]:
        """The addresses of all that the page has loaded."""
        return [str(one) for one in self.run("return performance.getEntriesByType('resource').map((one) => one.name)")]

    def accessible(self) -> list[dict[str, Any]]:
        """The accessibility tree, as a screen reader is given it: nodes with `role` and `name`, in their order."""
        nodes = self._devtools("Accessibility.getFullAXTree", {})["nodes"]
        return [
            {"role": node["role"]["value"], "name": node.get("name", {}).get("value", ""), **_properties(node)}
            for node in nodes
            if not node["ignored"]
        ]

    def picture(self, path: Path) -> None:
        """Take a picture of the window."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _devtools(self, command: str, parameters: Mapping[str, Any]) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": dict(parameters)})

    def _ask(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(self._base + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from None
