"""Make docs/images/live.jpg and person.jpg: the live page over the demo clip, in headless Chromium (and its driver).

    python tools/make_page_pictures.py                  # serves the clip itself, takes about a minute and a half
    python tools/make_page_pictures.py --looks out/page # also dark, and at a phone's width, to look the page over

Needs the extras 'service' and 'dev'. Times are UTC and English, so that two runs differ in what was seen alone.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = REPOSITORY / "docs" / "images"
CLIP = REPOSITORY / "demos" / "clip"
SEEN_SECONDS = 75.0  # that the site runs before: several rounds of the clip, so that people were in both cameras
MOST_BYTES = 250_000
DESKTOP, PHONE = (1280, 900), (390, 844)


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The real program over the clip; its address."""
    values = {
        "service.port": "0",
        "live.repeat": "true",
        "store.path": str(folder / "people.db"),
        "store.crops": "true",
    }
    command = [sys.executable, "-m", "reid_tracker.cli", "serve", *_options("--set", values)]
    command += _options("--camera", {name: str(CLIP / f"{name}.mp4") for name in ("door", "hall")})
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env={**os.environ, "TZ": "UTC"}
    )
    assert program.stdout is not None
    try:
        found = re.search(r"https?://\S+", program.stdout.readline())
        if not found:
            sys.exit("the service did not start")
        yield found[0].rstrip("/")
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)


def _options(name: str, values: dict[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in (name, f"{key}={value}")]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser that nobody sees."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-GB"):
        options.add_argument(flag)
    driver = shutil.which("chromedriver")
    if driver is None:
        sys.exit("needs Chromium and its driver: apt-get install chromium chromium-driver")
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds; end the program where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.2)


def look(browser: Any, size: tuple[int, int], dark: bool = False) -> None:
    """Show the page as a screen of this size (CSS pixels), in light or dark colours."""
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
    browser.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": "en-GB"})


def shot(browser: Any, whole: bool = False) -> np.ndarray:
    """What is shown, or the whole page, (H, W, 3) BGR."""
    if whole:
        size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        told = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    else:
        told = browser.execute_cdp_cmd("Page.captureScreenshot", {})
    image = cv2.imdecode(np.frombuffer(base64.b64decode(told["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def write_small(path: Path, image: np.ndarray) -> None:
    """A JPEG of at most MOST_BYTES, as good as that allows."""
    for quality in range(88, 40, -4):
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and len(data) <= MOST_BYTES:
            path.write_bytes(data.tobytes())
            print(f"{path.name}: {image.shape[1]} x {image.shape[0]}, {len(data)} bytes, quality {quality}")
            return
    sys.exit(f"{path.name}: cannot be made smaller than {MOST_BYTES} bytes")


def open_person(browser: Any, address: str) -> None:
    """Open whoever was in both cameras, and most often but not so often that the lists are all one sees."""
    people = httpx.get(f"{address}/api/identities?limit=100").json()
    both = [person for person in people if len(person["cameras"]) > 1] or people
    chosen = min(both, key=lambda person: (abs(person["sightings"] - 6), person["identity"]))
    browser.execute_script(f"openPerson({chosen['identity']})")
    loaded = "return [...document.querySelectorAll('#person img')].every((each) => each.hidden || each.naturalWidth)"
    wait_for(lambda: bool(browser.find_elements("css selector", "#reasons li")), 20, "the person's history")
    wait_for(lambda: bool(browser.execute_script(loaded)), 20, "the person's pictures")


def close_person(browser: Any) -> None:
    """Back to the page."""
    browser.execute_script("document.getElementById('person').close()")


def person_shot(browser: Any) -> np.ndarray:
    """The open person, as much as the screen shows, without the darkened page around it."""
    script = "const {x, y, width, height} = document.getElementById('person').getBoundingClientRect(); "
    x, y, width, height = (round(each) for each in browser.execute_script(script + "return [x, y, width, height]"))
    return shot(browser)[y : y + height, x : x + width]


def busiest(browser: Any, seconds: float = 25.0) -> np.ndarray:
    """The page at the moment of the next seconds at which most people are in view."""
    best, most = shot(browser), -1
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        count = len(browser.find_elements("css selector", "#people button"))
        if count > most:
            best, most = shot(browser), count
        time.sleep(0.3)
    return best


def looks(browser: Any, address: str, folder: Path) -> None:
    """The whole page and a person, light and dark, wide and narrow, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in (DESKTOP, PHONE):
        for dark in (False, True):
            name = f"{'phone' if size == PHONE else 'desktop'}_{'dark' if dark else 'light'}"
            look(browser, size, dark)
            time.sleep(6)  # the map is drawn again every five seconds
            cv2.imwrite(str(folder / f"{name}.png"), shot(browser, whole=True))
            open_person(browser, address)
            cv2.imwrite(str(folder / f"{name}_person.png"), shot(browser))
            browser.execute_script("document.getElementById('person').scrollTop = 1e6")
            cv2.imwrite(str(folder / f"{name}_person_end.png"), shot(browser))
            close_person(browser)


def main(folder: Path | None, seconds: float) -> None:
    """Serve, wait until people were seen, take the pictures."""
    with tempfile.TemporaryDirectory() as kept, site(Path(kept)) as address, chromium() as browser:
        look(browser, DESKTOP)
        browser.get(address)
        time.sleep(seconds)
        if folder is not None:
            looks(browser, address, folder)
            return
        write_small(IMAGES / "live.jpg", busiest(browser))
        look(browser, (1060, 960))
        open_person(browser, address)
        write_small(IMAGES / "person.jpg", person_shot(browser))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, metavar="FOLDER", help="write pictures of every layout there instead")
    parser.add_argument("--seconds", type=float, default=SEEN_SECONDS, help="that the site runs before")
    told = parser.parse_args()
    main(told.looks, told.seconds)
