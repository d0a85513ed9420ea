"""The page in a real browser, as a rater uses it: from a file and from the server, by keys and by mouse."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from study.small_study import small_build

from synctalk.study.answers import collect_ratings
from synctalk.study.build import Built
from synctalk.study.records import Key
from synctalk.study.serve import StudyServer

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not here")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

SCORES = {"intelligibility": 4, "sync": 2, "authenticity": 5}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    root = tmp_path_factory.mktemp("page")
    return root / "study", small_build(root, n_videos=6, n_raters=2)


@pytest.fixture(scope="module")
def playwright() -> Iterator[sync_api.Playwright]:
    with sync_api.sync_playwright() as playwright:
        yield playwright


Browse = Callable[..., sync_api.Page]
"""Opens an address in a browser with a profile on the disk, which can be closed and opened again as a person's is."""


@pytest.fixture
def browse(playwright: sync_api.Playwright, tmp_path: Path) -> Iterator[Browse]:
    """Any error of the page's script, and any request to elsewhere, fails the test at its end."""
    troubles: list[str] = []
    opened: list[sync_api.BrowserContext] = []

    def note(request: sync_api.Request) -> None:
        if not request.url.startswith(("file:", "http://127.0.0.1", "data:", "blob:")):
            troubles.append(request.url)

    def open_at(url: str, profile: str = "profile", width: int = 1280) -> sync_api.Page:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / profile,
            executable_path=CHROMIUM,
            args=["--no-sandbox"],
            viewport={"width": width, "height": 844},
        )
        opened.append(context)
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: troubles.append(str(error.error)))
        context.on("request", note)
        page = context.new_page()
        page.goto(url)
        return page

    yield open_at
    for context in opened:
        context.close()  # nothing happens where the test has closed it
    assert troubles == []


def watch(page: sync_api.Page) -> None:
    page.keyboard.press("Space")
    sync_api.expect(page.locator("#watched")).to_have_text("watched to the end")


def at(page: sync_api.Page, place: str) -> None:
    sync_api.expect(page.locator("#place")).to_have_text(place)


def press(page: sync_api.Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_a_rater_answers_closes_the_tab_and_goes_on(tmp_path: Path, study: tuple[Path, Built], browse: Browse) -> None:
    folder, built = study
    rater = next(iter(built.key.raters))
    url = f"{(folder / 'index.html').as_uri()}?rater={rater}"

    page = browse(url)
    sync_api.expect(page.get_by_label("Your code")).to_have_value(rater)
    page.get_by_role("button", name="Begin").click()
    at(page, "Video 1 of 3")

    # neither unseen nor half answered
    press(page, "4", "2", "5", "Enter")
    sync_api.expect(page.locator("#message")).to_have_text("Play the video to its end first.")
    watch(page)
    page.get_by_role("button", name="Next video").click()
    at(page, "Video 2 of 3")
    watch(page)
    press(page, "3")
    page.get_by_role("button", name="Next video").click()
    sync_api.expect(page.locator("#message")).to_have_text("Answer “Synchronisation” as well.")
    at(page, "Video 2 of 3")

    # the tab is closed in the middle of the second video, and opened again
    page.close()
    page = page.context.new_page()
    page.goto(url)
    at(page, "Video 2 of 3")
    assert page.get_by_role("progressbar").get_attribute("value") == "1"
    assert page.get_by_role("group", name="Intelligibility").get_by_role("radio", name="3").is_checked()
    sync_api.expect(page.locator("#watched")).to_have_text("watched to the end")

    # by arrows: one question down, from nothing to 1 to 2; by mouse: the third
    press(page, "ArrowDown", "ArrowRight", "ArrowRight")
    page.get_by_role("group", name="Authenticity").get_by_text("5", exact=True).click()
    # back to the first video, and a score thought over there
    page.get_by_role("button", name="Back").click()
    at(page, "Video 1 of 3")
    press(page, "1", "Enter")
    at(page, "Video 2 of 3")
    press(page, "Enter")
    at(page, "Video 3 of 3")

    watch(page)
    press(page, "4", "2", "5")
    page.get_by_role("button", name="Finish").click()
    sync_api.expect(page.get_by_role("heading")).to_have_text("Thank you, that was the last video")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download my answers").click()
    assert download.value.suggested_filename == f"answers-{rater}.json"
    download.value.save_as(tmp_path / "answers.json")
    page.context.close()

    ratings, findings = collect_ratings([tmp_path / "answers.json"], built.key)
    assert [rating.scores for rating in ratings] == [
        SCORES | {"intelligibility": 1},
        {"intelligibility": 3, "sync": 2, "authenticity": 5},
        SCORES,
    ]
    assert [rating.plays for rating in ratings] == [1, 1, 1]
    assert [finding.fault for finding in findings] == ["missing_rater"]  # the other one


def test_a_wrong_code_is_said(study: tuple[Path, Built], tmp_path: Path, browse: Browse) -> None:
    page = browse((study[0] / "index.html").as_uri())
    page.get_by_label("Your code").fill("99-zzz")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#start-message")).to_have_text("“99-zzz” is no code of this study.")
    page.get_by_label("Your code").fill(f" {next(iter(study[1].key.raters)).upper()} ")
    page.keyboard.press("Enter")
    at(page, "Video 1 of 3")
    page.context.close()


def test_jumping_to_the_end_is_not_watching(study: tuple[Path, Built], tmp_path: Path, browse: Browse) -> None:
    page = browse(f"{(study[0] / 'index.html').as_uri()}?rater={next(iter(study[1].key.raters))}")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_function("film.readyState >= 1")  # a jump before that is forgotten when the video loads
    page.evaluate("film.currentTime = 0.7")
    page.keyboard.press("Space")
    page.wait_for_function("film.ended")
    press(page, "4", "2", "5", "Enter")
    sync_api.expect(page.locator("#message")).to_have_text("Play the video to its end first.")
    page.context.close()


def test_a_video_that_does_not_play_is_passed_over_and_named(
    study: tuple[Path, Built], tmp_path: Path, browse: Browse
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(study[0], folder)
    rater, names = next(iter(study[1].key.raters.items()))
    (folder / "videos" / f"{names[0]}.mp4").write_bytes(b"broken")
    page = browse(f"{(folder / 'index.html').as_uri()}?rater={rater}")
    page.get_by_role("button", name="Begin").click()
    sync_api.expect(page.locator("#message")).to_have_text("This video cannot be played here.")
    page.get_by_role("button", name="go on without it").click()
    at(page, "Video 2 of 3")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save what I have so far").click()
    download.value.save_as(tmp_path / "answers.json")
    page.context.close()
    ratings, findings = collect_ratings([tmp_path / "answers.json"], study[1].key)
    assert ratings == []
    assert [finding.fault for finding in findings][:1] == ["not_played"]


def test_answers_go_on_from_a_saved_file_in_another_browser(
    study: tuple[Path, Built], tmp_path: Path, browse: Browse
) -> None:
    rater = next(iter(study[1].key.raters))
    url = f"{(study[0] / 'index.html').as_uri()}?rater={rater}"
    page = browse(url, "one")
    page.get_by_role("button", name="Begin").click()
    at(page, "Video 1 of 3")
    watch(page)
    press(page, "4", "2", "5", "Enter")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save what I have so far").click()
    download.value.save_as(tmp_path / "answers.json")
    page.context.close()
    page = browse(url, "two")
    (tmp_path / "other.json").write_text(json.dumps({"study": "another"}), encoding="utf-8")
    page.get_by_label("Go on from a saved file").set_input_files(tmp_path / "other.json")
    sync_api.expect(page.locator("#start-message")).to_have_text("That file holds no answers to this study.")
    page.get_by_label("Go on from a saved file").set_input_files(tmp_path / "answers.json")
    at(page, "Video 2 of 3")
    page.get_by_role("button", name="Back").click()
    assert page.get_by_role("group", name="Synchronisation").get_by_role("radio", name="2").is_checked()
    page.context.close()


def served_answers(answers: Path, key: Key) -> list[dict[str, int]]:
    return [rating.scores for rating in collect_ratings(sorted(answers.glob("*.json")), key)[0]]


def test_the_server_saves_each_answer_and_another_browser_goes_on(
    study: tuple[Path, Built], tmp_path: Path, browse: Browse
) -> None:
    folder, built = study
    answers = tmp_path / "answers"
    with StudyServer(folder, answers, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        url = f"{server.url}?rater={list(built.key.raters)[1]}"
        page = browse(url, "one")
        page.get_by_role("button", name="Begin").click()
        at(page, "Video 1 of 3")  # the server is asked for earlier answers first
        watch(page)
        press(page, "4", "2", "5", "Enter")
        sync_api.expect(page.locator("#kept")).to_have_text("Saved.")
        page.context.close()
        assert served_answers(answers, built.key) == [SCORES]

        page = browse(url, "two", width=390)
        page.get_by_role("button", name="Begin").click()
        at(page, "Video 2 of 3")
        for _ in range(2):
            watch(page)
            press(page, "4", "2", "5", "Enter")
        sync_api.expect(page.locator("#sent")).to_have_text("Your answers are saved. You can close this page.")
        page.context.close()
        server.shutdown()
        thread.join()
    assert served_answers(answers, built.key) == [SCORES] * 3


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen_and_all_has_a_name(
    study: tuple[Path, Built], tmp_path: Path, browse: Browse, width: int
) -> None:
    page = browse(f"{(study[0] / 'index.html').as_uri()}?rater={next(iter(study[1].key.raters))}", width=width)
    page.get_by_role("button", name="Begin").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for question in ("Intelligibility", "Synchronisation", "Authenticity"):
        radios = page.get_by_role("group", name=question).get_by_role("radio")
        assert radios.count() == 5
        for number in range(5):
            box = radios.nth(number).bounding_box()
            assert box is not None
            assert box["height"] >= 44  # a finger's width
            assert box["width"] >= 44
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, video, progress")].filter(node =>
            !(node.ariaLabel || node.textContent.trim() || node.labels?.length)).length"""
    )
    assert unnamed == 0
    page.context.close()
