"""The page in a real browser: headless Chromium over a running service."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest

from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.cluster.condition import AssociatorState, SiteState
from reid_tracker.config import CameraConfig
from reid_tracker.service.access import Access, Person, Role
from reid_tracker.service.runtime import Service
from reid_tracker.store.records import Batch
from tests.service.conftest import listening, site_config, wait_for
from tests.service.site import colour_pipeline, picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # of the driver's own sockets
]


@pytest.fixture
def browser() -> Iterator[Any]:
    """A browser that nobody sees; fails where the page broke its own rules or raised an error."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("needs Chromium and its driver")
    from selenium.webdriver.chrome.service import Service as Driver

    options = selenium.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--disable-dev-shm-usage", "--window-size=1280,900"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = selenium.Chrome(options=options, service=Driver(driver))
    try:
        yield opened
        severe = [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]
        assert [entry for entry in severe if "/picture" not in entry["message"]] == []  # who left between two requests
    finally:
        opened.quit()


@pytest.fixture
def find(browser: Any) -> Callable[[str], list[Any]]:
    """The elements that a CSS selector names."""
    return lambda selector: browser.find_elements("css selector", selector)


def test_people_are_reached_by_keyboard_and_told_of(
    browser: Any, find: Callable[[str], list[Any]], address: str
) -> None:
    """Tab to somebody, open, read where, when, which way and why, close; and it fits a phone."""
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    wait_for(lambda: len(find("#cameras img")) == 2, 30)
    wait_for(lambda: all(image.get_property("naturalWidth") for image in find("#cameras img")), 30)
    wait_for(lambda: len(find("#people button")) >= 1, 30)
    wait_for(lambda: len(find("#recent button")) >= 3, 30)
    assert not find("#login")[0].is_displayed()

    def focused() -> str:
        return str(browser.execute_script("return document.activeElement.className"))

    for _ in range(12):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if focused() == "person":
            break
    assert focused() == "person"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for(lambda: bool(find("#sightings li")), 30)
    wait_for(lambda: bool(find("#reasons li")), 30)
    wait_for(lambda: bool(find("#path .camera")), 30)
    assert len(find("#steps li")) >= 1
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_for(lambda: not find("#person")[0].is_displayed(), 10)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 380


def test_people_are_searched_by_picture_and_corrected_on_the_page(
    browser: Any, find: Callable[[str], list[Any]], address: str, client: httpx.Client, tmp_path: Path
) -> None:
    """Upload a picture, open whom it finds, split off a passage, keep the two apart, and make them one after all."""
    from selenium.webdriver.support.ui import WebDriverWait

    def problem() -> str:
        return str(find("#person-problem")[0].text)

    def press(name: str) -> None:
        browser.execute_script("arguments[0].scrollIntoView()", find(name)[0])
        find(name)[0].click()

    cv2.imwrite(str(tmp_path / "green.png"), picture(("green", 100)))
    browser.get(address)
    wait_for(lambda: bool(find("#people button")), 30)
    find("#picture")[0].send_keys(str(tmp_path / "green.png"))
    wait_for(lambda: len(find("#matches button")) >= 2, 30)
    found = find("#matches button")[0]
    person = int(found.text.split("·")[0])
    seen = {sighting["camera"] for sighting in client.get(f"/api/identities/{person}").json()["sightings"]}
    assert seen == {"door", "hall"}  # the one who is in both
    browser.execute_script("arguments[0].scrollIntoView()", found)
    found.click()
    WebDriverWait(browser, 30).until(lambda _: len(find("#sightings input")) >= 2)
    find("#sightings input")[-1].click()
    press("#split")
    wait_for(lambda: problem().startswith("Split"), 30)
    new = int(find("#person-title")[0].text.removeprefix("Person ").partition(",")[0])
    assert new != person
    find("#other")[0].send_keys(str(person))
    press("#never")
    wait_for(lambda: problem() == "They will be kept apart.", 30)
    told = [line["kind"] for line in client.get("/api/corrections").json()]
    assert told[-2:] == ["split", "never"]
    press("#merge")  # taken back
    wait_for(lambda: problem() == "Merged.", 30)
    assert len(find("#sightings input")) >= 2


FOCUSED = """
const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
const box = document.activeElement.closest("dialog") || document.body;
const every = [...box.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(shown);
const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
return [every.indexOf(document.activeElement), every.length, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
        document.activeElement.outerHTML.slice(0, 80)];
"""


def test_everything_is_reached_by_tab_and_shows_that_it_is(
    browser: Any, find: Callable[[str], list[Any]], address: str
) -> None:
    """The page and then somebody's history: in the order of the page, none left out, no way into a trap."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    def walk() -> None:
        """Tab from the first to the last; people come and go meanwhile, so the count may change by those in view."""
        before, most, reached = -1, 0, set[int]()
        for _ in range(120):
            ActionChains(browser).send_keys(Keys.TAB).perform()
            place, count, framed, what = browser.execute_script(FOCUSED)
            if place < 0 or (place <= before and place == 0):
                break  # the end: the browser's own buttons, or the first again
            most = count
            assert framed, f"nothing shows that this has the focus: {what}"
            assert place - before <= 3, f"between {before} and {place} something was left out: {what}"
            reached.add(place)
            before = place
        assert len(reached) >= most - 3
        assert len(reached) >= 8

    browser.get(address)
    wait_for(lambda: len(find("#recent button")) >= 3, 30)
    wait_for(lambda: len(find("#cameras summary")) == 2, 30)
    walk()
    opener = find("#recent button")[0]
    browser.execute_script("arguments[0].focus()", opener)
    shown = opener.text
    wait_for(lambda: opener.text != shown, 30)  # the list was filled anew with who was seen meanwhile
    assert browser.switch_to.active_element == opener
    opener.send_keys(Keys.ENTER)
    wait_for(lambda: bool(find("#sightings input")), 30)
    walk()
    assert browser.execute_script("return document.activeElement.closest('main')") is None  # what lies behind is inert
    find("#close")[0].send_keys(Keys.ENTER)
    wait_for(lambda: not find("#person")[0].is_displayed(), 10)
    camera = find("#cameras summary")[0]
    camera.send_keys(Keys.ENTER)
    wait_for(lambda: "decoded on cpu" in find("#cameras details li")[0].text, 10)


def test_whoever_is_in_a_picture_can_be_clicked(
    browser: Any, find: Callable[[str], list[Any]], address: str, client: httpx.Client
) -> None:
    browser.get(address)
    script = """
        const boxes = document.querySelectorAll("#cameras rect");
        if (!boxes.length) return null;
        boxes[0].dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
        if (!boxes[0].getBoundingClientRect().width) throw new Error("it covers nothing");
        return Number(boxes[0].textContent.replace("Person ", ""));
    """
    clicked: list[int] = []
    wait_for(lambda: bool(found := browser.execute_script(script)) and not clicked.append(found), 30)
    wait_for(lambda: find("#person-title")[0].text.startswith(f"Person {clicked[0]}"), 30)
    assert client.get(f"/api/identities/{clicked[0]}").status_code == 200


def test_what_the_visitor_may_not_do_is_not_shown(
    browser: Any, find: Callable[[str], list[Any]], service: Service
) -> None:
    people = {f"{role.name.lower()}-" + 20 * "t": Person("somebody", role) for role in Role}

    def shown(token: str) -> list[bool]:
        browser.delete_all_cookies()
        browser.get(address)
        wait_for(lambda: find("#login")[0].is_displayed(), 30)
        find("#token")[0].send_keys(token)
        find("#login button")[0].click()
        wait_for(lambda: bool(find("#recent button")), 30)
        browser.execute_script("arguments[0].click()", find("#recent button")[0])
        wait_for(lambda: bool(find("#reasons li")), 30)
        return [find(name)[0].is_displayed() for name in ("#merge", "#erase", "#picture", "#cameras button")]

    with listening(service, Access(people)) as address:
        assert [shown(token) for token in people] == [[False] * 4, [True, False, True, True], [True] * 4]
        browser.get("about:blank")


def test_corrections_that_lack_something_say_what(browser: Any, find: Callable[[str], list[Any]], address: str) -> None:
    browser.get(address)
    wait_for(lambda: bool(find("#recent button")), 30)
    browser.execute_script("arguments[0].click()", find("#recent button")[0])
    wait_for(lambda: bool(find("#sightings input")), 30)
    for name, said in (("#merge", "Say which other person"), ("#split", "Tick the sightings")):
        browser.execute_script("arguments[0].click()", find(name)[0])
        assert find("#person-problem")[0].text.startswith(said)


def test_of_somebody_who_comes_often_the_latest_is_shown(
    browser: Any, find: Callable[[str], list[Any]], address: str, service: Service
) -> None:
    began = time.time() - 60_400
    passages = {
        number: RememberedPassage(number, 5000, ("door", "hall")[number % 2], began + number, began + number + 0.5)
        for number in range(60_001, 60_301)
    }
    service.store.save(Batch(passages, [], [], service.store.numbers()))
    browser.get(address)
    wait_for(lambda: bool(find("#recent button")), 30)
    browser.execute_script("openPerson(5000)")
    wait_for(lambda: len(find("#sightings li")) == 60, 30)
    assert find("#sightings-title")[0].text == "Seen (the latest 60 of 300)"
    assert find("#sightings input")[-1].get_attribute("value") == "60300"
    assert find("#reasons-title")[0].text == "Why"


def test_a_cluster_is_linked_to_where_there_is_one(
    browser: Any, find: Callable[[str], list[Any]], address: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.get(address)
    wait_for(lambda: bool(find("#people button")), 30)
    assert not find("#elsewhere")[0].is_displayed()
    monkeypatch.setattr(service, "site_state", lambda: SiteState(associators=(AssociatorState("site"),)))
    browser.refresh()
    wait_for(lambda: find("#elsewhere")[0].is_displayed(), 30)
    find("#elsewhere a")[0].click()
    wait_for(lambda: browser.title == "reid_tracker: cluster", 10)


def test_dark_and_light_follow_the_visitor(browser: Any, address: str) -> None:
    browser.get(address)

    def brightness(scheme: str) -> tuple[int, int]:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        style = "getComputedStyle(document.body)"
        ground, text = browser.execute_script(f"return [{style}.backgroundColor, {style}.color]")
        return sum(map(int, ground[4:-1].split(","))), sum(map(int, text[4:-1].split(",")))

    light, dark = brightness("light"), brightness("dark")
    assert light[0] > 600 > light[1] + 300
    assert dark[1] > 600 > dark[0] + 300


def test_moments_are_the_visitors_own_and_in_utc_where_pointed_at(
    browser: Any, find: Callable[[str], list[Any]], address: str
) -> None:
    """In Eucla, at an offset that no server stands at: the zone is named, and every moment is of it."""
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Australia/Eucla"})
    browser.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": "en-GB"})
    browser.get(address)
    wait_for(lambda: bool(find("#recent time")) and bool(find("#events time")), 30)
    wait_for(lambda: all(time.text for time in find(".picture time")) and len(find(".picture time")) == 2, 30)
    assert find("#zone")[0].text == "times in Australia/Eucla, UTC+8:45"

    def check(selector: str) -> None:
        script = "return [...document.querySelectorAll(arguments[0])].map((t) => [t.dateTime, t.textContent, t.title])"
        told = browser.execute_script(script, selector)
        assert told
        for moment, text, title in told:
            utc = datetime.fromisoformat(moment)
            assert text[-8:] == (utc + timedelta(hours=8, minutes=45)).strftime("%H:%M:%S")
            assert title == utc.strftime("%Y-%m-%d %H:%M:%S UTC")
            assert abs(utc - datetime.now(UTC)) < timedelta(minutes=10)

    check("main time")
    browser.execute_script("arguments[0].click()", find("#recent button")[0])
    wait_for(lambda: bool(find("#sightings time")) and bool(find("#steps time")), 30)
    check("dialog time")


def test_many_cameras_leave_the_page_alive(
    browser: Any, find: Callable[[str], list[Any]], scenes: Path, tmp_path: Path
) -> None:
    """Nine cameras: more than a browser opens connections to one host; a map with two of them placed on it."""
    cv2.imwrite(str(tmp_path / "map.png"), picture(("blue", 10)))
    places = {"door": (0.2, 0.5), "hall": (0.8, 0.5)}
    sources = {name: str(scenes / f"{name}.avi") for name in places}
    sources |= {f"more{number}": str(scenes / "hall.avi") for number in range(7)}
    cameras = [CameraConfig(id=name, source=source, place=places.get(name)) for name, source in sources.items()]
    values = {"cameras": [camera.model_dump() for camera in cameras], "site.map": str(tmp_path / "map.png")}
    with Service(site_config(scenes, **values), colour_pipeline) as service, listening(service, Access({})) as address:
        browser.get(address)
        wait_for(lambda: len(find("#cameras img")) == 9, 30)
        wait_for(lambda: len(find("#site .camera")) == 9, 30)
        wait_for(lambda: len(find("#site image")) == 1, 30)

        def shown() -> list[str]:
            script = "return [...document.querySelectorAll('#cameras img')].map((image) => image.src)"
            return list(browser.execute_script(script))

        wait_for(lambda: all(shown()[:3]), 30)  # those in sight
        before = shown()[:3]
        wait_for(lambda: all(now != then for now, then in zip(shown(), before, strict=False)), 30)
        moved = find("#site .camera")[0].get_attribute("cx"), find("#site .camera")[1].get_attribute("cx")
        assert float(moved[1]) == pytest.approx(4 * float(moved[0]), rel=0.01)  # at 0.2 and 0.8
        answered = "const done = arguments[0]; ask('api/health').then((health) => done(health.status))"
        browser.set_script_timeout(10)
        wait_for(lambda: browser.execute_async_script(answered) == "ok", 30)  # all cameras are live by now
        down = {"id": "back gate", "source": "rtsp://127.0.0.1:9/x"}
        assert httpx.post(f"{address}/api/cameras", json=down, timeout=30).status_code == 201
        wait_for(lambda: "no picture from back gate" in find("#totals")[0].text, 30)
        wait_for(lambda: "refused" in find("#cameras .message")[-1].text, 30)
        widths = {round(tile.size["width"]) for tile in find("#cameras figure")}
        assert len(widths) == 1  # a last row of few is no larger
        assert find("#cameras figure")[0].size["width"] < 320 < find("#cameras")[0].size["width"] / 2
        browser.get("about:blank")  # leaves before the service does
