"""The report and the page of scores in a real browser: one clock, keys, sorting, filters, and a phone's width.

Every frame of the videos shows its own number as its brightness, so that what is on the screen can be read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation.footage import noise

from synctalk.evaluation.folder import Scored
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.findings import ClipFinding, Note
from synctalk.evaluation.videos.pairs import Matching, Pair
from synctalk.media import write_video
from synctalk.report.clips import ClipView, VideoView
from synctalk.report.report import render
from synctalk.report.score_page import write_pages

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not here")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

N_FRAMES = 50
METHODS = ("ground_truth", "base", *(f"m{number}" for number in range(3, 12)))
CLIPS = ("main/1/1", "main/1/2")
DARKEST, PER_FRAME = 20, 4


def numbered_video(path: Path, n_frames: int = N_FRAMES) -> bytes:
    """Frame n is grey of `DARKEST + PER_FRAME n`."""
    frames = np.stack([np.full((64, 64, 3), DARKEST + PER_FRAME * n, np.uint8) for n in range(n_frames)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, audio=noise(n_frames, 0), crf=5)
    return path.read_bytes()


ON_SCREEN = f"""() => [...document.querySelectorAll("#gallery figure:not([hidden]) video")].map(video => {{
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d"); pen.drawImage(video, 0, 0, 1, 1);
  return Math.round((pen.getImageData(0, 0, 1, 1).data[1] - {DARKEST}) / {PER_FRAME});
}})"""
"""Numbers of the frames that the shown videos show."""


def score(clip: str, lse_c: float | None, offset: int, edits: int = 1) -> ClipScore:
    return ClipScore(
        id=clip, n_frames=N_FRAMES, n_windows=45, lse_c=lse_c, lse_d=8.0, offset=offset, lse_c_other=1.0, psnr=30.0,
        psnr_uint8=33.0, ssim=0.9, mouth_psnr=25.0, mouth_ssim=0.8, mean_mouth_psnr=20.0, frame_psnr=31.0,
        frame_psnr_uint8=34.0, frame_ssim=0.95, edits=edits, n_words=2, char_edits=1, n_chars=8,
        wer3_edits=None, wer3_free_edits=0,
        reference="bin blue", hypothesis="bin red", wer3_hypothesis=None, wer3_free_hypothesis="bin blue",
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("report")
    mp4, shorter = numbered_video(root / "a.mp4"), numbered_video(root / "b.mp4", N_FRAMES - 1)
    strip = np.zeros((32, 320, 3), np.uint8)
    videos = [VideoView(name, shorter if name == "m3" else mp4, strip, (0.25, 0.5, 0.5, 0.25)) for name in METHODS]
    of_method = {name: float(place) for place, name in enumerate(METHODS)}
    scores = {
        (corpus, name): pd.DataFrame(
            [score(clip, lse_c + n, (-1) ** n * n) for n, clip in enumerate([*CLIPS, "main/1/3"])]
        )
        for corpus in ("lrs2", "lrs3")
        for name, lse_c in of_method.items()
    }
    page = render(
        title="report", scale="demo", variant="base", variant_row="base", about="", tables=[], checks=[], corpora=[],
        clips=[ClipView("lrs2", clip, "bin blue", videos) for clip in CLIPS],
        scores=scores, claims={}, clusters={}, probe=[], curves=[],
    )  # fmt: skip
    (root / "index.html").write_text(page, encoding="utf-8")
    return (root / "index.html").as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    """Any error or warning of the page, and any request to elsewhere, fails the test at its end."""
    troubles: list[str] = []
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type in {"error", "warning"} else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else troubles.append(request.url),
    )
    yield page
    page.close()
    assert troubles == []


def open_gallery(tab: sync_api.Page, url: str) -> sync_api.Locator:
    tab.goto(url)
    tab.wait_for_selector("#gallery[data-ready='0']")
    gallery = tab.locator("#gallery")
    gallery.scroll_into_view_if_needed()
    return gallery


def wait_for_frame(tab: sync_api.Page, frame: int) -> None:
    tab.wait_for_function(f"() => gallery.frame === {frame} && gallery.active.every(item => !item.video.seeking)")


def test_all_videos_show_the_frame_that_is_sought(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    assert tab.evaluate(ON_SCREEN) == [0] * 4
    slider = tab.get_by_role("slider", name="frame")
    for frame in (17, 3, 48):
        slider.fill(str(frame))
        wait_for_frame(tab, frame)
        assert tab.evaluate(ON_SCREEN) == [frame] * 4
    assert slider.get_attribute("max") == "48"  # the shortest of those shown ends there


def test_keys_step_seek_and_turn(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    for key, frame in ((".", 1), (".", 2), (",", 1), ("ArrowRight", 6), ("ArrowLeft", 1), ("ArrowLeft", 0)):
        tab.keyboard.press(key)
        wait_for_frame(tab, frame)
        assert tab.evaluate(ON_SCREEN) == [frame] * 4
    speed = tab.get_by_label("speed, key S")
    for expected in ("0.5", "0.25", "1"):
        tab.keyboard.press("s")
        assert speed.input_value() == expected
    loop, mouth = (tab.locator(f"[data-do={name}]") for name in ("loop", "zoom"))
    assert (loop.get_attribute("aria-pressed"), mouth.get_attribute("aria-pressed")) == ("true", "false")
    tab.keyboard.press("l")
    tab.keyboard.press("m")
    assert (loop.get_attribute("aria-pressed"), mouth.get_attribute("aria-pressed")) == ("false", "true")
    tab.keyboard.press("]")
    tab.wait_for_selector("#gallery[data-ready='1']")
    assert tab.get_by_label("clip", exact=True).evaluate("list => list.selectedOptions[0].text") == "lrs2 main/1/2"


@pytest.mark.parametrize("speed", [0.25, 1.0])
def test_all_videos_play_in_step(tab: sync_api.Page, report: str, speed: float) -> None:
    open_gallery(tab, report)
    tab.get_by_label("speed, key S").select_option(str(speed).removesuffix(".0"))
    tab.locator("body").press("Space")
    tab.wait_for_function("() => gallery.frame >= 4")
    spreads = []
    for _ in range(9):
        frames = tab.evaluate(ON_SCREEN)
        spreads.append(max(frames) - min(frames))
        tab.wait_for_timeout(60)
    assert sorted(spreads)[4] <= 1
    tab.keyboard.press("Space")
    tab.wait_for_function(
        "() => !gallery.playing && gallery.active.every(item => item.video.paused && !item.video.seeking)"
    )
    # a sought frame is drawn a moment after its search has ended
    tab.wait_for_function(f"() => ({ON_SCREEN})().every(frame => frame === gallery.frame)", timeout=3000)
    assert len(tab.evaluate(ON_SCREEN)) == 4


def test_a_video_that_lags_is_pulled_to_the_clock(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tab.get_by_label("speed, key S").select_option("0.25")
    tab.locator("body").press("Space")
    tab.wait_for_function("() => gallery.frame >= 4")
    apart = "Math.abs(gallery.active[1].video.currentTime - gallery.master.video.currentTime)"
    assert tab.evaluate(f"gallery.active[1].video.currentTime += 0.6, {apart}") > 0.3
    tab.wait_for_function(f"() => {apart} < 0.04")
    assert tab.evaluate("gallery.playing")


def test_without_loop_playing_ends_at_the_last_frame_and_with_it_goes_on(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tab.get_by_role("slider", name="frame").fill("40")
    wait_for_frame(tab, 40)
    tab.keyboard.press("Space")
    tab.wait_for_function("() => gallery.playing && gallery.frame < 20")
    tab.keyboard.press("l")
    tab.wait_for_function("() => !gallery.playing")
    wait_for_frame(tab, 48)
    assert tab.evaluate(ON_SCREEN) == [48] * 4


def test_digits_choose_the_methods_and_one_alone_is_heard(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    shown = tab.locator("#gallery figure:not([hidden])")
    assert shown.evaluate_all("all => all.map(one => one.dataset.method)") == list(METHODS[:4])
    assert tab.locator("#gallery video[src]").count() == 4  # others are not loaded
    tab.keyboard.press("1")
    tab.keyboard.press("5")
    tab.keyboard.press("0")
    tab.wait_for_function("() => gallery.shown.size === 5 && gallery.active.every(item => item.video.readyState >= 2)")
    assert shown.evaluate_all("all => all.map(one => one.dataset.method)") == ["base", "m3", "m4", "m5", "m10"]
    unmuted = "() => gallery.active.filter(item => !item.video.muted).map(item => item.method)"
    assert tab.evaluate(unmuted) == ["base"]  # the truth's audio went with its picture
    tab.get_by_label("audio of").select_option("m4")
    assert tab.evaluate(unmuted) == ["m4"]
    tab.get_by_label("audio of").select_option("none")
    assert tab.evaluate(unmuted) == []
    tab.locator("[data-do=all]").click()
    tab.wait_for_function(
        "() => gallery.active.length === 11 && gallery.active.every(item => item.video.readyState >= 2)"
    )
    assert tab.evaluate(ON_SCREEN) == [0] * 11


def test_the_mouth_fills_the_tile(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tab.locator("[data-do=zoom]").click()
    tile, picture = (
        tab.locator(f"#gallery figure:not([hidden]) {one}").first.bounding_box() for one in (".screen", "video")
    )
    assert tile is not None
    assert picture is not None
    # the mouth's box is half the picture wide: twice the size, its middle (0.5, 0.625) in the middle of the tile
    assert picture["width"] == pytest.approx(2 * tile["width"], abs=1)
    assert picture["x"] + 0.5 * picture["width"] == pytest.approx(tile["x"] + tile["width"] / 2, abs=1)
    assert picture["y"] + 0.625 * picture["height"] == pytest.approx(tile["y"] + tile["height"] / 2, abs=1)


def cells(tab: sync_api.Page, name: str) -> list[str]:
    place = tab.evaluate("name => table.columns.findIndex(column => column.name === name)", name)
    return [text.strip() for text in tab.locator(f"#clips tbody tr > :nth-child({place + 1})").all_inner_texts()]


def test_clips_are_sorted_worst_first_and_best_first(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tab.get_by_label("method", exact=True).select_option("base")
    assert cells(tab, "lse_c") == ["1.00", "1.00", "2.00", "2.00", "3.00", "3.00"]
    tab.locator("[data-sort=lse_c]").click()
    assert cells(tab, "lse_c") == ["3.00", "3.00", "2.00", "2.00", "1.00", "1.00"]
    assert tab.locator("th[aria-sort]").all_inner_texts() == ["LSE-C ↑"]
    assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    tab.locator("[data-sort=offset]").press("Enter")
    assert cells(tab, "offset") == ["2", "2", "-1", "-1", "0", "0"]  # the farthest from zero is the worst


def test_filters_and_search_leave_what_they_name(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tally = tab.locator("#clips output")
    assert tally.inner_text() == "66 of 66 rows"
    assert tab.locator("#clips tbody tr").count() == 50
    tab.get_by_role("button", name="More rows").click()
    assert tab.locator("#clips tbody tr").count() == 66
    tab.get_by_label("corpus", exact=True).select_option("lrs3")
    tab.get_by_label("clip or words").fill("1/3")
    assert tally.inner_text() == "11 of 66 rows"
    assert set(cells(tab, "corpus")) == {"lrs3"}
    assert set(cells(tab, "clip")) == {"main/1/3"}
    assert tab.locator("#clips .words .no").first.inner_text() == "red"


def test_a_row_leads_to_its_clip(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    assert tab.locator("#clips [data-open='main/1/3']").count() == 0  # it is not in the gallery
    tab.get_by_label("method", exact=True).select_option("m9")
    assert tab.locator("#clips [data-open]").count() == 2  # nor are those of the other corpus
    tab.locator("#clips [data-open='main/1/2']").click()
    tab.wait_for_selector("#gallery[data-ready='1']")
    assert tab.locator("#gallery figure[data-method=m9]").is_visible()
    assert tab.locator("#gallery").evaluate("stage => stage.getBoundingClientRect().top < innerHeight")


def test_keys_elsewhere_are_left_alone(tab: sync_api.Page, report: str) -> None:
    open_gallery(tab, report)
    tab.get_by_label("clip or words").press_sequentially("m.l ")
    assert tab.get_by_label("clip or words").input_value() == "m.l "
    assert tab.locator("[data-do=zoom]").get_attribute("aria-pressed") == "false"
    assert tab.evaluate("[gallery.frame, gallery.playing, gallery.looping]") == [0, False, True]


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_never_scrolls_sideways(tab: sync_api.Page, report: str, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    open_gallery(tab, report)
    tab.locator("[data-do=all]").click()
    tab.wait_for_function("() => gallery.active.length === 11")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.locator("#clips .scroll").evaluate("box => box.scrollWidth >= box.clientWidth")


def test_the_page_of_scores_plays_videos_where_they_lie(tab: sync_api.Page, tmp_path: Path) -> None:
    ids = ("s/a b#1", "s/2")
    pairs = [
        Pair(name, tmp_path / "made" / f"{name}.mp4", tmp_path / "real" / f"{name}.mp4", True, None) for name in ids
    ]
    for pair in pairs:
        for path in (pair.generated, pair.reference):
            assert path is not None
            numbered_video(path)
    scored = Scored(
        (score(ids[0], 2.0, 0), score(ids[1], None, 1)), (Note("s/3", ClipFinding.MISSING, False, "none"),), {}
    )
    setting = {"lse": None, "wer": None, "mouth": None, "faces": None, "sha256": {}}
    (tmp_path / "out").mkdir()
    write_pages(scored, Matching(tuple(pairs), ()), setting, tmp_path / "out")
    open_gallery(tab, (tmp_path / "out" / "report.html").as_uri())
    tab.locator("#clips [data-open='s/a b#1']").click()
    tab.wait_for_function(
        "() => gallery.clip.id === 's/a b#1' && gallery.active.every(item => item.video.readyState >= 2)"
    )
    tab.keyboard.press(".")
    wait_for_frame(tab, 1)
    assert tab.evaluate("gallery.active.map(item => item.video.videoWidth)") == [64, 64]
    assert tab.locator("[data-do=zoom]").is_hidden()  # nobody knows where the mouth is
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
