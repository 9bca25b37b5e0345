"""The studio in a real browser: every page, both languages, a phone's width, and no way out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from film_files import file_of as film_file
from serving import Served, serving
from tiny_bundle import write_bundle
from wenfang.database import Database
from wenfang.jobs import Job, Queue, Submission
from wenfang.jobs.tables import jobs

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), "")
# CI sets WENFANG_BROWSER, so that a browser that is missing there is a failure and no skip.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not BROWSER and not os.environ.get("WENFANG_BROWSER"), reason="no Chromium is installed"
    ),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
PAGES = {
    "en": ("Create", "Make", "Library", "Review", "Train", "Models", "Verify", "Jobs"),
    "zh": ("创作", "单件", "书库", "审阅", "训练", "模型库", "验证", "任务"),
}
FIRST_BUTTON = {"en": "Make it", "zh": "开始制作"}
PATIENCE_MS = 120_000
PHONE_PX = 390


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("studio")
    write_bundle(home / "bundles" / "gpt2", "gpt2")
    with serving(home, door="studio", workers=1) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert BROWSER, "no Chromium is installed"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    opened.hosts = set()
    opened.faults = []
    # What a failed test prints; a page that was loaded anew has lost what stood in it.
    opened.on("framenavigated", lambda frame: print("opened", frame.url))
    opened.on("requestfailed", lambda one: print("failed", one.url, one.failure))
    opened.on("response", lambda one: one.status >= 400 and print(one.status, one.url))
    opened.on("request", lambda one: opened.hosts.add(one.url.split("/")[2]))
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    yield opened
    opened.close()


def visit(page: Any, server: Served, language: str) -> None:
    page.goto(f"{server.url}/studio/{language}/")
    page.get_by_role("button", name=FIRST_BUTTON[language], exact=True).wait_for()


def test_looking_again_goes_past_the_queue(page: Any, server: Served) -> None:
    joined: list[str] = []
    visit(page, server, "en")
    for name in PAGES["en"]:
        open_page(page, name)
    page.wait_for_timeout(2000)  # what was chosen on them shows something
    looked: list[str] = []
    page.on("request", lambda one: (joined if "/queue/" in one.url else looked).append(one.url))
    page.wait_for_timeout(7000)
    assert joined == []
    assert len([one for one in looked if "/run/" in one]) >= 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_opens_and_asks_nobody_else(page: Any, server: Served, language: str) -> None:
    visit(page, server, language)
    for name in PAGES[language]:
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(300)
    assert page.hosts == {server.url.split("/")[2]}
    assert page.faults == []
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]


def test_the_way_in_follows_the_browser_and_the_switch_is_kept(
    browser: Any, server: Served
) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{server.url}/studio")
    assert page.url.endswith("/studio/zh/")
    page.get_by_role("link", name="English").click()
    page.wait_for_url("**/studio/en/")
    page.goto(f"{server.url}/studio")
    assert page.url.endswith("/studio/en/")
    context.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Any, server: Served, language: str
) -> None:
    page = browser.new_page(viewport={"width": PHONE_PX, "height": 844})
    page.set_default_timeout(PATIENCE_MS)
    visit(page, server, language)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_PX
    page.close()


def test_a_card_is_made_shown_verified_and_approved(
    page: Any, server: Served, tmp_path: Path
) -> None:
    visit(page, server, "en")
    panel = page.locator("[role=tabpanel]:visible").first
    panel.get_by_label("Subject").first.fill("秋山")
    page.get_by_role("button", name="Make it", exact=True).first.click()
    piece = page.locator(".wf-text").first
    piece.wait_for()
    assert "秋山" in piece.inner_text()
    assert page.locator(".wf-badge.pass").count() > 3
    with page.expect_download() as started:
        page.get_by_role("link", name="card.png", exact=True).first.click()
    card = tmp_path / "card.png"
    started.value.save_as(card)
    with page.expect_download() as started:
        page.get_by_role("link", name="all of them", exact=False).first.click()
    everything = tmp_path / "all.zip"
    started.value.save_as(everything)
    page.get_by_role("tab", name="Verify", exact=True).click()
    page.locator("input[type=file]").last.set_input_files(str(card))
    page.get_by_role("cell", name="credential").first.wait_for()
    page.get_by_label("Clear").locator("visible=true").first.click()
    page.locator("input[type=file]").last.set_input_files(str(everything))
    page.locator("h2", has_text="poem.txt").wait_for()  # its seal stands beside it
    assert page.locator(".wf-sheet .wf-badge.bad:visible").count() == 0
    page.get_by_role("tab", name="Library", exact=True).click()
    page.locator(".wf-text:visible", has_text="秋山").first.wait_for()  # it came by itself
    page.get_by_role("button", name="What it was made from", exact=True).click()
    page.locator("svg[role=img]").first.wait_for()
    page.get_by_role("button", name="Make again and compare", exact=True).click()
    page.get_by_role("cell", name="identical").first.wait_for()
    page.get_by_role("tab", name="Review", exact=True).click()
    page.locator(".wf-text:visible").first.wait_for()
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("approved", exact=True).wait_for()


def open_page(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(500)


def test_music_is_heard_and_the_page_fits_the_model(page: Any, server: Served) -> None:
    visit(page, server, "zh")
    open_page(page, "单件")
    panel = page.locator("[role=tabpanel]:visible").first
    model, start = panel.get_by_role("combobox", name="模型"), panel.get_by_text("从一张图开始")
    model.click()
    assert page.get_by_role("option", name="effects · 合成的声音", exact=False).count() == 1
    page.get_by_role("option", name="emblem ·", exact=False).click()
    start.wait_for()
    model.click()
    page.get_by_role("option", name="chorale ·", exact=False).click()
    panel.get_by_text("情绪和调").wait_for()
    start.wait_for(state="hidden")
    panel.get_by_role("button", name="开始制作", exact=True).click()
    heard = panel.locator("audio")
    heard.wait_for()
    page.wait_for_function("one => one.readyState >= 1", arg=heard.element_handle())
    assert heard.evaluate("one => one.duration") > 10
    assert panel.locator("img[src$='.svg']").evaluate("one => one.naturalWidth") > 300
    files = panel.get_by_role("link").all_inner_texts()
    assert files[:-1] == ["00000.mp3", "00000.svg", "00000.mid"]


def finished_film(server: Served) -> Job:
    """A film as its job leaves it, made by a test."""
    asked = {"prompt": "rain on the river", "size": "720x1280", "seconds": 4, "settings": {}}
    database = Database.open(f"sqlite:///{server.home / 'wenfang.sqlite'}")
    queue = Queue(database=database)
    # Of a kind that no worker asks for, until it is finished.
    queue.submit(Submission(kind="waiting", request=asked, subject="720x1280", units=4.0))
    job = queue.claim("hand", ["waiting"])
    assert job
    folder = server.home / "jobs" / job.id
    folder.mkdir(parents=True)
    (folder / "film.mp4").write_bytes(film_file())
    Image.new("RGB", (64, 48), "navy").save(folder / "still.webp")
    files = {"video": str(folder / "film.mp4"), "thumbnail": str(folder / "still.webp")}
    assert queue.finish(job, {"files": files, "manifests": {}, "facts": {}}, 1.0, 0)
    with database.writing() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(kind="film"))
    database.close()
    return job


def test_a_film_is_reviewed_in_a_player(page: Any, server: Served) -> None:
    job = finished_film(server)
    visit(page, server, "en")
    open_page(page, "Review")
    film = page.locator(f"video[src*='{job.id}']:visible").first
    film.wait_for()
    assert "rain on the river" in page.locator(".wf-text:visible").first.inner_text()
    page.wait_for_function("one => one.readyState >= 1", arg=film.element_handle())
    assert film.evaluate("one => one.duration") == pytest.approx(2, abs=0.1)
    assert page.locator("img[src*='still.webp']:visible").count() == 0  # the player shows it
    page.get_by_label("Why").fill("too short")
    page.get_by_role("button", name="Reject", exact=True).click()
    page.get_by_text("rejected", exact=True).wait_for()
    assert page.get_by_label("Why").input_value() == ""  # the next one has its own reason


TRAINING = {
    "en": ("Train", "What to learn", "a model of texts, tuned by examples",
           "Begin with the model", "Name of the new model", "Keep it"),
    "zh": ("训练", "学什么", "文字模型，用例子调校", "从哪个模型开始", "新模型的名字", "保留"),
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_is_trained_seen_at_work_compared_and_kept(
    page: Any, server: Served, tmp_path: Path, language: str
) -> None:
    tab, learn, recipe, begin, named, keep = TRAINING[language]
    examples = tmp_path / "mine.jsonl"
    rows = [{"prompt": f"p {number}", "completion": f" c {number}"} for number in range(10)]
    examples.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    visit(page, server, language)
    open_page(page, tab)
    page.get_by_label(learn).click()
    page.get_by_role("option", name=recipe, exact=True).click()
    page.wait_for_timeout(1500)  # which models fit is asked anew
    page.get_by_label(begin).click()
    page.get_by_role("option", name="gpt2", exact=True).first.click()
    panel = page.locator("[role=tabpanel]:visible").first
    panel.locator("input[type=file]").set_input_files(str(examples))
    panel.get_by_text("mine.jsonl").first.wait_for()
    name = f"mine-{language}"
    page.get_by_label(named).fill(name)
    panel.locator("button.primary").click()
    sides = panel.locator(".wf-pair section")
    sides.locator("h4", has_text=name).wait_for()  # until then it is an earlier run's
    assert sides.locator("h4").all_inner_texts() == ["gpt2", name]
    old, new = (sides.nth(side).locator(".wf-asked").all_inner_texts() for side in (0, 1))
    assert old == new
    assert set(old) <= {row["prompt"] for row in rows}
    assert panel.locator("details").count() >= 1  # the samples before the last ones
    assert panel.locator("svg[role=img] polyline").count() >= 1
    assert page.faults == []
    panel.get_by_role("button", name=keep, exact=True).click()
    panel.get_by_text(name, exact=False).last.wait_for()
    page.wait_for_timeout(2000)
    assert (server.home / "bundles" / name / "manifest.json").is_file()
    other = server.http("none").get("/studio/files/job-00000000000000000000/samples/old/0.png")
    assert other.status_code == 404


@pytest.mark.parametrize(("language", "words"), [("en", "Drop File Here"), ("zh", "点击上传")])
def test_words_of_the_toolkit_are_in_the_language_of_the_page(
    page: Any, server: Served, language: str, words: str
) -> None:
    visit(page, server, language)
    open_page(page, PAGES[language][6])
    assert words in page.locator("[role=tabpanel]:visible").first.inner_text()


def test_errors_are_said_in_plain_words(page: Any, server: Served) -> None:
    visit(page, server, "zh")
    panel = page.locator("[role=tabpanel]:visible").first
    panel.get_by_label("题目").first.fill("")
    page.get_by_role("button", name="开始制作", exact=True).first.click()
    line = page.get_by_role("alert").first
    line.wait_for()
    assert "Traceback" not in line.inner_text()
    assert any("\u4e00" <= character <= "\u9fff" for character in line.inner_text())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_has_a_serious_fault_of_accessibility(
    page: Any, server: Served, language: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visit(page, server, language)
    for name in PAGES[language]:
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(500)
        found = Axe().run(page).response["violations"]
        grave = [
            (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert grave == [], name


def test_the_keyboard_alone_reaches_the_pages(page: Any, server: Served) -> None:
    visit(page, server, "en")
    page.get_by_role("tab", name="Create", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_role("tab", name="Make", exact=True).get_attribute("aria-selected") == "true"
