"""The report in a real browser: headless Chromium, driven by Playwright, no network."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright import sync_api as playwright

from client import BeamOptions, Clip
from client.audio import load_audio
from client.decoding import GreedyOptions, make_decoder
from client.evaluation.report import ReportOptions, write_report
from client.evaluation.result import Failure
from client.manifests.manifest import read_manifest
from client.wire.contract import LOG_PROBS
from client.wire.transport import TransportOptions, TritonTransport
from demo.paths import DEMO
from tests.client.evaluation.evaluations import evaluation, texts_only, utterance
from tests.client.support import CONTRACT, peaky, tokens_of

RATE_HZ = 16_000
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<b>bold</b> & \"quoted\" 'text' ${window.hacked=1}",
    "שלום \u202eمرحبا 👩‍👩‍👧",  # noqa: RUF001 -- written from right to left
    "long" * 60,
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield launched
        launched.close()


@contextmanager
def opened(browser, path: Path, viewport=DESKTOP, **context) -> Iterator[object]:
    """The page, which may ask for nothing but itself and audio, and must not complain."""
    with browser.new_context(viewport=viewport, **context) as tab:
        page = tab.new_page()
        page.set_default_timeout(10_000)
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.requests = requests
        yield page
        assert complaints == []
        assert page.evaluate("window.hacked") is None


def tone(path: Path, seconds: float) -> Path:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * 300 * time_s), RATE_HZ)
    return path


TEXTS = [
    ("go to b", ["go to v", "go to b"]),
    ("one two three", ["one three", "one two three"]),
    ("stop now", ["stop right now", "stop right now"]),
    ("enter four", ["enter four", "enter for"]),
    ("yes", ["yes", "yes"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report of sixty utterances, longer and longer, beside a recording; the first is a piece."""
    folder = tmp_path_factory.mktemp("report")
    sound = Clip(tone(folder / "tone #1.wav", 3.0))
    utterances = [
        utterance(
            line,
            TEXTS[line % 5][0],
            TEXTS[line % 5][1],
            clip=sound if line else Clip(sound.source, 1.0, 0.9),
            duration_s=0.9 + line / 100,
            name=f"take {line}",
        )
        for line in range(60)
    ]
    found = replace(evaluation(utterances), failures=(Failure(99, "gone.wav", "no such file"),))
    log_probs = peaky(tokens_of("go to b"), CONTRACT.blank + 1)
    write_report(found, folder / "report.html", lambda *_: log_probs, ReportOptions(detailed=60))
    return folder


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder / "report.html") as page:
        yield page


def names(page):
    return page.locator(".utterance .name").all_inner_texts()


def take(page, name):
    return page.locator(".utterance", has=page.get_by_text(name, exact=True))


def audio(page, what):
    return page.evaluate(f"document.getElementById('audio').{what}")


def wait_until(page, condition):
    """Polls from here: the page's policy lets nobody evaluate texts in it."""
    end_s = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < end_s, f"not within 10 s: {condition}"
        page.wait_for_timeout(15)


def test_the_page_asks_nothing_of_the_network_and_shows_the_figures(page, folder):
    assert [url for url in page.requests if not url.startswith("data:")] == [
        (folder / "report.html").as_uri()
    ]
    assert page.locator(".systems tbody tr").count() == 2
    assert "beam has the lowest word error rate" in page.locator(".finding").inner_text()
    assert page.locator("#count").inner_text() == "1 to 25 of 60"
    assert page.locator(".utterance").count() == 25
    page.locator(".failures summary").click()
    assert page.locator(".failures td").all_inner_texts() == ["99", "gone.wav", "no such file"]


def test_what_differs_can_be_told_without_colour(page):
    page.select_option("#sort", "line")
    rows = take(page, "take 0").locator(".recognized")
    assert rows.nth(0).locator(".swapped").inner_text() == "bv"
    assert rows.nth(0).locator("del").inner_text() == "b"
    assert rows.nth(0).locator("ins").inner_text() == "v"
    assert rows.nth(1).locator("del, ins").count() == 0
    style = "element => getComputedStyle(element).textDecorationLine"
    assert rows.nth(0).locator("del").evaluate(style) == "line-through"
    assert rows.nth(0).locator("ins").evaluate(style) == "underline"
    assert take(page, "take 1").locator(".recognized").nth(0).locator("del").inner_text() == "two"
    both = take(page, "take 2")
    assert both.locator(".recognized").count() == 1  # both systems made the same of it
    assert both.locator(".badge").all_inner_texts() == ["A", "B"]
    assert both.locator("ins").inner_text() == "right"


def test_the_list_is_sorted(page):
    page.select_option("#sort", "duration")
    assert names(page) == [f"take {line}" for line in range(59, 34, -1)]
    page.click("#order")
    assert names(page) == [f"take {line}" for line in range(25)]
    page.click("#order")
    page.select_option("#sort", "name")
    assert names(page)[:3] == ["take 0", "take 1", "take 2"]
    page.select_option("#sort", "errors")
    assert all(int(name.split()[1]) % 5 == 2 for name in names(page)[:12])
    page.select_option("#system", "1")
    assert all(int(name.split()[1]) % 5 in (2, 3) for name in names(page)[:24])
    page.select_option("#sort", "disagreement")
    assert all(int(name.split()[1]) % 5 in (0, 1, 3) for name in names(page))


@pytest.mark.parametrize(
    ("show", "system", "rests"),
    [
        ("all", "", [0, 1, 2, 3, 4]),
        ("wrong", "", [0, 1, 2, 3]),
        ("wrong", "0", [0, 1, 2]),
        ("right", "1", [0, 1, 4]),
        ("s", "", [0, 3]),
        ("d", "", [1]),
        ("i", "1", [2]),
        ("different", "", [0, 1, 3]),
    ],
)
def test_the_list_is_filtered(page, show, system, rests):
    page.select_option("#sort", "line")
    page.select_option("#show", show)
    page.select_option("#system", system)
    expected = [line for line in range(60) if line % 5 in rests]
    assert names(page) == [f"take {line}" for line in expected[:25]]
    assert f"of {len(expected)}" in page.locator("#count").inner_text()


def test_the_list_is_searched(page):
    page.fill("#search", "TAKE 59")
    assert names(page) == ["take 59"]
    page.fill("#search", "right now")
    assert page.locator("#count").inner_text() == "1 to 12 of 12, out of 60"
    page.fill("#search", "nothing is like this")
    assert page.locator("#count").inner_text() == "No utterances match."
    assert names(page) == []


def test_a_confusion_lists_its_utterances(page):
    page.get_by_role("button", name="b → v").click()
    assert all(int(name.split()[1]) % 5 == 0 for name in names(page))
    assert page.locator("#count").inner_text() == "1 to 12 of 12, out of 60"
    page.locator("#chosen").click()
    assert page.locator("#count").inner_text() == "1 to 25 of 60"
    page.get_by_role("button", name="beam has fewer errors than greedy: 24").click()
    assert all(int(name.split()[1]) % 5 in (0, 1) for name in names(page))


def test_pages_are_turned(page):
    page.select_option("#sort", "line")
    page.click("#next")
    assert names(page)[0] == "take 25"
    page.click("#next")
    assert names(page) == [f"take {line}" for line in range(50, 60)]
    assert page.locator("#next").is_disabled()
    page.click("#previous")
    assert names(page)[0] == "take 25"


def test_words_light_up_as_the_recording_plays(page):
    page.select_option("#sort", "line")
    one = take(page, "take 1")
    audio(page, "defaultPlaybackRate = 0.2")  # slow enough for a busy machine to see each word
    one.get_by_role("button", name="Play take 1").click()
    wait_until(page, "document.getElementById('audio').currentTime > 0.05")
    assert audio(page, "src").endswith("/tone%20%231.wav")
    lit = one.locator(".recognized").nth(1).locator(".word.now")
    assert lit.inner_text() == "one"
    wait_until(
        page,
        "document.querySelector('.recognized:nth-of-type(3) .word.now')?.textContent === 'two'",
    )
    one.get_by_role("button", name="Pause take 1").click()
    assert audio(page, "paused")
    assert float(one.locator(".position").input_value()) > 0.3


def test_a_piece_plays_from_its_offset_to_its_end(page):
    page.select_option("#sort", "line")
    one = take(page, "take 0")
    one.get_by_role("button", name="Play").click()
    wait_until(page, "document.getElementById('audio').currentTime > 1.02")
    assert not audio(page, "paused")
    wait_until(page, "document.getElementById('audio').paused")
    assert 1.9 <= audio(page, "currentTime") < 2.4
    one.get_by_role("button", name="Play").click()  # once more, from its start
    wait_until(page, "!document.getElementById('audio').paused")
    assert audio(page, "currentTime") < 1.8


def test_a_word_plays_from_where_it_was_said(page):
    page.select_option("#sort", "line")
    one = take(page, "take 0")
    one.locator(".recognized .word", has_text="to").first.click()
    wait_until(page, "!document.getElementById('audio').paused")
    assert audio(page, "currentTime") >= 1.3
    other = take(page, "take 6")
    other.locator(".recognized .word", has_text="three").first.click()
    wait_until(page, "document.getElementById('audio').currentTime < 1")
    assert audio(page, "currentTime") >= 0.3
    assert one.locator(".word.now").count() == 0


def test_keys_move_play_and_open(page):
    page.select_option("#sort", "line")
    take(page, "take 0").focus()
    focused = "document.activeElement.querySelector('.name')?.textContent"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "take 1"
    page.keyboard.press("Space")
    wait_until(page, "document.getElementById('audio').currentTime > 0.05")
    page.keyboard.press("Space")
    assert audio(page, "paused")
    page.keyboard.press("ArrowRight")
    wait_until(page, "document.getElementById('audio').currentTime >= 0.3")
    page.keyboard.press("Enter")
    assert take(page, "take 1").locator(".timeline").is_visible()
    assert page.evaluate(focused) == "take 1"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel").endswith("take 1")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert take(page, "take 1").locator(".timeline").count() == 0
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "take 25"  # on the next page
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "take 24"
    page.keyboard.press("/")
    page.keyboard.type("take 7")
    assert names(page) == ["take 7"]


def test_everything_that_can_be_used_has_a_name_and_is_reached_by_tab(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the utterances"
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, [role=region]')].filter(
            (each) => !each.ariaLabel && !each.textContent.trim() && !each.labels?.length
              && !each.hidden).length"""
    )
    assert nameless == 0
    assert page.locator("img:not([alt]), svg:not([aria-label]):not([aria-hidden])").count() == 0


def test_details_show_the_utterance_in_time(page):
    page.select_option("#sort", "line")
    one = take(page, "take 5")
    one.get_by_role("button", name="Details").click()
    images = one.locator(".timeline img")
    assert images.evaluate_all("images => images.map((each) => each.naturalHeight)") == [64, 6]
    assert one.locator(".tokens li").all_inner_texts() == ["g", "o", "␣", "t", "b", "blank"]
    assert one.locator(".box").count() == len("go to b")
    said = one.locator(".spoken").first.locator(".spoken-word").all_inner_texts()
    assert said == ["go", "to", "b"]
    one.locator(".spectrogram").click(position={"x": 500, "y": 20})
    wait_until(page, "!document.getElementById('audio').paused")
    assert audio(page, "currentTime") > 0.2
    assert one.locator(".playhead").is_visible()
    one.get_by_role("button", name="Details").click()
    assert one.locator(".timeline").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_they_are_switched(browser, folder, scheme):
    background = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, folder / "report.html", color_scheme=scheme) as page:
        before = page.evaluate(background)
        other = {"light": "dark", "dark": "light"}[scheme]
        page.get_by_role("button", name=f"Switch to {other} colours").click()
        assert page.evaluate(background) != before
        page.get_by_role("button", name=f"Switch to {scheme} colours").click()
        assert page.evaluate(background) == before


def test_what_only_a_screen_can_do_is_not_printed(page):
    assert page.locator("#tools").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    for hidden in ("#tools", ".pages", "#theme"):
        assert not page.locator(hidden).is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 31, 39)"


def test_a_recording_that_has_gone_is_said_to_be(browser, tmp_path):
    one = utterance(1, "go", ["go"], clip=Clip(tmp_path / "gone.wav"), name="take 1")
    write_report(evaluation([one], ["greedy"]), tmp_path / "report.html", lambda *_: None)
    with browser.new_context() as tab:
        page = tab.new_page()
        page.goto((tmp_path / "report.html").as_uri())
        page.get_by_role("button", name="Play").click()
        page.get_by_text("cannot be played").wait_for(timeout=10_000)


def test_embedded_audio_plays_without_its_file(browser, tmp_path):
    clip = Clip(tone(tmp_path / "tone.wav", 2.0), 0.5, 1.0)
    one = utterance(1, "go", ["go"], clip=clip, duration_s=1.0, name="take 1")
    path = tmp_path / "report.html"
    write_report(
        evaluation([one], ["greedy"]), path, lambda *_: None, ReportOptions(embed_audio=True)
    )
    (tmp_path / "tone.wav").unlink()
    with opened(browser, path) as page:
        page.get_by_role("button", name="Play").click()
        wait_until(page, "document.getElementById('audio').currentTime > 0.05")
        assert audio(page, "duration") == pytest.approx(1.0, abs=0.01)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    clip = Clip(tone(folder / "tone.wav", 1.5))
    utterances = [
        utterance(line, text, [f"{text} x", f"x {text}"], clip=clip, name=text)
        for line, text in enumerate(HOSTILE)
    ]
    found = evaluation(utterances, HOSTILE[:2])
    write_report(found, folder / "report.html", lambda *_: None)
    return folder / "report.html"


def test_hostile_text_is_shown_as_it_is(browser, hostile):
    with opened(browser, hostile) as page:
        page.select_option("#sort", "line")
        assert names(page) == HOSTILE
        assert page.locator(".reference").all_text_contents() == HOSTILE
        assert page.locator("#system option").nth(1).text_content() == f"A {HOSTILE[0]}"
        page.locator("button[data-kind]").first.click()
        page.locator(".more").first.click()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_window(browser, folder, hostile, viewport):
    for path in (folder / "report.html", hostile):
        with opened(browser, path, viewport) as page:
            page.locator(".more").first.click()
            page.locator(".timeline").wait_for()
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"]


LONG_NAMES = [
    "quartznet15x5-multidataset-greedy-decoding-without-language-model",
    "stt_en_fastconformer_ctc_large beam 128 4-gram librispeech-3e-7 alpha 0.5",
    "conformer",
]


def systems(names, *, wrong_every=3, length=1, n_utterances=40, longest_s=9.0):
    """Each system is wrong less often than the one before."""
    utterances = [
        utterance(
            line,
            " ".join(["characteristically", "go"] * length),
            [
                " ".join(["go" if line % (wrong_every + place) else "x y", "go"] * length)
                for place in range(len(names))
            ],
            duration_s=0.4 + longest_s * line / n_utterances,
        )
        for line in range(n_utterances)
    ]
    return evaluation(utterances, names)


REPORTS = {
    "one system": lambda: systems(["greedy"]),
    "two systems": lambda: systems(["greedy", "beam"]),
    "long names and recordings": lambda: systems(LONG_NAMES, n_utterances=2000, longest_s=2e4),
    "eight systems": lambda: systems([f"system {place} of eight" for place in range(8)]),
    "no errors": lambda: evaluation([utterance(line, "go", ["go", "go"]) for line in range(9)]),
    "one utterance": lambda: evaluation([utterance(1, "go", ["no", "go"])]),
    "long utterances": lambda: systems(["greedy", "beam"], length=150, n_utterances=4),
    "texts only": lambda: texts_only(systems(["notebook", "ours"])),
    "nothing transcribed": lambda: evaluation([]),
}
BROKEN_FIGURES = """[...document.querySelectorAll(
    '.tiles b, .number, .count, .rate b, .chart text, .tally thead th')].filter((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  const tops = [...range.getClientRects()].map((box) => box.top);
  return Math.max(...tops) - Math.min(...tops) > 8;
}).map((each) => each.textContent)"""
OVERLAPPING_LABELS = """(() => {
  const labels = [...document.querySelectorAll('.chart text')];
  const boxes = labels.map((each) => each.getBoundingClientRect());
  return labels.flatMap((one, i) => labels.slice(i + 1).filter((_, j) => {
    const [a, b] = [boxes[i], boxes[i + 1 + j]];
    return a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
  }).map((other) => [one.textContent, other.textContent]));
})()"""
OUTSIDE = """[...document.querySelectorAll('main *:not(.scroll *)')].filter((each) => {
  const { right, left, width } = each.getBoundingClientRect();
  return width > 1 && (left < -0.5 || right > document.documentElement.clientWidth + 0.5);
}).map((each) => each.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module", params=REPORTS, ids=[name.replace(" ", "-") for name in REPORTS])
def any_report(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "report.html"
    write_report(REPORTS[request.param](), path, lambda *_: None)
    return path


def test_every_report_is_read_on_every_screen(browser, any_report):
    with opened(browser, any_report) as page:
        for width in (400, 800, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for flaw in (OUTSIDE, BROKEN_FIGURES, OVERLAPPING_LABELS):
                assert page.evaluate(flaw) == [], width
        labels = page.locator(".chart text:not(.soft)").all_text_contents()
        assert len(set(labels)) == len(labels)


def test_every_report_is_read_on_paper(browser, any_report):
    with opened(browser, any_report, {"width": 718, "height": 1000}) as page:  # A4, margins of 1 cm
        page.emulate_media(media="print")
        for flaw in (OUTSIDE, BROKEN_FIGURES, OVERLAPPING_LABELS):
            assert page.evaluate(flaw) == []
        cut_off = "[...document.querySelectorAll('.scroll')].filter((each) => "
        cut_off += "each.scrollWidth > each.clientWidth + 1).length"
        assert page.evaluate(cut_off) == 0
        assert page.locator(":is(button:not(.plain), input, select):visible").count() == 0
        plain = "each => getComputedStyle(each).textDecorationLine"
        for word in page.locator("button.plain").all()[:3]:
            assert word.evaluate(plain) == "none"


def test_one_system_is_compared_with_none(browser, tmp_path):
    write_report(systems(["greedy"]), tmp_path / "report.html", lambda *_: None)
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator(".badge, .mark, .versus, #system, .legend li").count() == 0
        options = page.locator("option").all_inner_texts()
        assert not {"all systems", "where systems differ", "disagreement"} & set(options)
        page.select_option("#show", "wrong")
        assert page.locator(".systems-here").first.inner_text() == "HYP"


def test_what_has_no_place_in_time_has_no_timeline(browser, tmp_path):
    write_report(texts_only(systems(["a", "b"])), tmp_path / "report.html", lambda *_: None)
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator(".more, .play").count() == 0
        page.locator(".utterance").first.focus()
        page.keyboard.press("Enter")
        assert page.locator(".timeline").count() == 0


def test_five_thousand_utterances_open_and_are_searched(browser, tmp_path):
    text = "enter five seven eight four two nine january eleven sixty three oh one rubout"
    texts = [text, text.replace("five", "nine"), text[:-7], text + " x"]
    utterances = [
        utterance(line, text, texts, name=f"take {line}", duration_s=6.0) for line in range(1, 5001)
    ]
    found = evaluation(utterances, ["greedy", "notebook", "defaults", "tuned"])
    path = tmp_path / "report.html"
    write_report(found, path, lambda *_: None, ReportOptions(detailed=0))
    assert path.stat().st_size < 12_000_000
    with opened(browser, path) as page:
        assert page.locator("#count").inner_text() == "1 to 25 of 5,000"
        page.fill("#search", "take 4321")
        assert names(page) == ["take 4321"]
        assert page.locator("*").count() < 5_000


def test_the_demo_model_is_drawn_and_heard(browser, server_url, tmp_path):
    """Real speech and the real model: the forced alignment is where greedy decoding has it."""
    entries = list(read_manifest(DEMO / "clips" / "manifest.jsonl"))[:2]
    transport = TritonTransport(server_url, "demo", TransportOptions())
    contract = transport.contract
    audio_of = [load_audio(entry.item, contract.sample_rate_hz) for entry in entries]
    log_probs = [transport.submit(samples, LOG_PROBS).result() for samples in audio_of]
    transport.close()
    decoders = [
        make_decoder(contract, options)
        for options in (GreedyOptions(confidence=True), BeamOptions(lm=DEMO / "lm.arpa.gz"))
    ]
    utterances = []
    for entry, samples, outputs in zip(entries, audio_of, log_probs, strict=True):
        one = utterance(entry.line, entry.fields["text"], [], clip=entry.item, name=entry.name)
        transcripts = [decoder.decode(outputs) for decoder in decoders]
        compared = utterance(1, one.reference, [each.text for each in transcripts]).recognized
        utterances.append(
            replace(
                one,
                duration_s=len(samples) / contract.sample_rate_hz,
                recognized=tuple(
                    replace(each, transcript=transcript)
                    for each, transcript in zip(compared, transcripts, strict=True)
                ),
            )
        )
    path = tmp_path / "report.html"
    outputs_of = {one.line: outputs for one, outputs in zip(utterances, log_probs, strict=True)}
    found = evaluation(utterances, contract=contract)
    write_report(found, path, lambda one, _: outputs_of[one.line])
    with opened(browser, path) as page:
        page.select_option("#sort", "line")
        first = page.locator(".utterance").first
        first.get_by_role("button", name="Details").click()
        lanes = first.locator(".spoken")
        assert lanes.nth(0).inner_text().split() == entries[0].fields["text"].split()
        starts = "words => words.map((each) => Number(each.dataset.start))"
        aligned = lanes.nth(0).locator(".spoken-word").evaluate_all(starts)
        greedy = lanes.nth(1).locator(".spoken-word").evaluate_all(starts)
        np.testing.assert_allclose(aligned, greedy, atol=2 * contract.frame_stride_s)
        first.get_by_role("button", name="Play").click()
        wait_until(page, "document.querySelector('.recognized .word.now') !== null")
