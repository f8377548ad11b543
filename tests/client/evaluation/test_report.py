"""The report's figures, drawings and text, without a browser."""

import base64
import io
import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from client.audio import AudioOptions, Clip
from client.decoding.alignment import align
from client.evaluation.metrics import word_errors
from client.evaluation.report import ReportOptions, write_report
from client.evaluation.report.alignment import Kind, align_systems, align_words, timed_words
from client.evaluation.report.charts import letter
from client.evaluation.report.data import embedded, linked
from client.evaluation.report.details import BLANK, heat_map, mel_spectrogram, posteriorgram
from client.evaluation.report.statistics import (
    disagreement,
    duration_bins,
    errors_of,
    wrong_words,
)
from client.evaluation.report.wording import duration, finding, p_value, speed
from client.evaluation.result import Difference, Failure, Interval
from client.transcript import Word
from tests.client.evaluation.evaluations import evaluation, texts_only, utterance
from tests.client.support import CONTRACT, PIECES, peaky, tokens_of

RATE_HZ = 16_000
HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"quotes\" 'apostrophes' & &amp; <!-- ${window.hacked = 1} `$data`",
    "\u202eright to left שלום مرحبا",
    "emoji 👩‍👩‍👧 \x00\x07 \ud83d lone half",
    "w" * 400,
]


class Page(HTMLParser):
    """What a browser would find: elements, their text, and scripts by themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note it."""
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):  # noqa: ARG002
        """Leave it."""
        self._in = ""

    def handle_data(self, data):
        """Note the text of scripts apart, and forget that of styles."""
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.text += data

    @property
    def data(self):
        """What the page's script reads."""
        return json.loads(self.scripts[0])


def written(tmp_path, found, options=None, log_probs=lambda *_: None):
    path = tmp_path / "report.html"
    write_report(found, path, log_probs, options)
    return Page(path.read_text(encoding="utf-8"))


def alignments_of(utterances):
    return [align_systems(each) for each in utterances]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "steps"),
    [
        ("a b", "a b", "a=a b=b"),
        ("a b", "a c", "a=a bsc"),
        ("a b c", "a c", "a=a bd c=c"),
        ("a c", "a b c", "a=a ib c=c"),
        ("", "a", "ia"),
        ("a", "", "ad"),
        ("", "", ""),
        ("a\u00a0b\tc", "a b c", "a=a b=b c=c"),
    ],
)
def test_a_hypothesis_is_aligned_word_by_word(reference, hypothesis, steps):
    found = align_words(reference, hypothesis)
    assert " ".join(step.reference + step.kind + step.hypothesis for step in found) == steps


@given(*[st.lists(st.sampled_from("abc"), max_size=8).map(" ".join)] * 2)
def test_what_is_shown_of_an_utterance_is_what_is_counted(reference, hypothesis):
    counts = word_errors([reference], [hypothesis])
    kinds = [step.kind for step in align_words(reference, hypothesis)]
    assert (
        kinds.count(Kind.RIGHT),
        kinds.count(Kind.SUBSTITUTION),
        kinds.count(Kind.DELETION),
        kinds.count(Kind.INSERTION),
    ) == (counts.hits, counts.substitutions, counts.deletions, counts.insertions)


@pytest.mark.parametrize(
    ("spoken", "compared", "times"),
    [
        ("go home", "go home", [(0, 1), (1, 2)]),
        ("Go, HOME", "go home", [(0, 1), (1, 2)]),
        ("Uh It's me", "its me", [(1, 2), (2, 3)]),
        ("Uh It's me", "uh it s me", [(0, 1), (1, 2), (1, 2), (2, 3)]),
        ("you can not go", "you cannot go", [(0, 1), (1, 3), (3, 4)]),
        ("one", "last trip", [None, None]),
        ("", "five", [None]),
    ],
)
def test_words_keep_their_times_whatever_normalisation_does(spoken, compared, times):
    words = [Word(word, at, at + 1, 0.5) for at, word in enumerate(spoken.split())]
    found = timed_words(words, compared.split())
    assert [word and (word.start_s, word.end_s) for word in found] == times


def test_wrong_words_are_counted_for_each_system():
    utterances = [
        utterance(1, "b a", ["v a", "b"]),
        utterance(2, "b b q", ["v b q x", "d b q"]),
    ]
    alignments = alignments_of(utterances)
    found = [
        (each.reference, each.hypothesis, each.counts)
        for each in errors_of(Kind.SUBSTITUTION, alignments)
    ]
    assert found == [("b", "v", (2, 0)), ("b", "d", (0, 1))]
    deleted = errors_of(Kind.DELETION, alignments)
    assert [(each.reference, each.counts) for each in deleted] == [("a", (0, 1))]
    inserted = errors_of(Kind.INSERTION, alignments)
    assert [(each.hypothesis, each.counts) for each in inserted] == [("x", (1, 0))]
    wrong = [(each.reference, each.counts, each.occurrences) for each in wrong_words(alignments)]
    assert wrong == [("b", (2, 1), 3), ("a", (0, 1), 1)]


def test_utterances_of_like_length_come_together():
    utterances = [
        utterance(line, "a b", ["a b", "a" if line > 8 else "a b"], duration_s=float(line))
        for line in range(1, 11)
    ]
    bins = duration_bins(utterances)
    assert [each.utterances for each in bins] == [2] * 5
    assert [each.words for each in bins] == [4] * 5
    assert [each.errors for each in bins] == [(0, 0)] * 4 + [(0, 2)]
    assert duration_bins(utterances[:2])[-1].utterances == 1
    assert duration_bins([]) == []


@pytest.mark.parametrize(
    ("durations_s", "labels"),
    [
        ([1.0, 2.04, 2.5, 3.0, 4.0, 5.0, 6.0], ["1.0-2.0", "2.5-3.0", "4.0", "5.0", "6.0", "s"]),
        ([1.51, 1.52, 1.53, 1.54], ["1.5", "s"]),
        ([1.5, 1.5, 1.5, 9.0], ["1.5", "9.0", "s"]),
        ([0.4, 99.0, 100.0, 998.7], ["0", "99", "100", "999", "s"]),
        ([30.0, 3599.0, 36_000.0], ["0", "60", "600", "min"]),
        ([0.0, 0.0], []),
    ],
)
def test_bins_have_labels_that_differ_and_are_short(durations_s, labels):
    bins = duration_bins([utterance(1, "a", ["a"], duration_s=each) for each in durations_s])
    found = [each.lengths.replace("\N{EN DASH}", "-") for each in bins]
    assert found + list({each.unit for each in bins}) == labels
    assert sum(each.utterances for each in bins) == (len(durations_s) if labels else 0)


def test_disagreement_tells_who_is_right_where():
    found = disagreement(
        [
            utterance(1, "a", ["a", "a"]),
            utterance(2, "a", ["a", "b"]),
            utterance(3, "a", ["b", "c"]),
            utterance(4, "a", ["b c", "c"]),
        ]
    )
    assert (found.all_right, found.some_right, found.none_right) == (1, 1, 2)
    assert found.different_texts == 3
    assert found.fewer == ((0, 1), (1, 0))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (347, "5 min 47 s"), (359.7, "6 min 0 s"), (44280, "12.3 h")],
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds) == text


def test_figures_are_written_for_people():
    assert p_value(0.0) == "p\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}0.001"
    assert p_value(0.0104) == "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.010"
    assert (speed(10, 0.001), speed(10, 4), speed(10, 0)) == ("10,000", "2.5", "\N{EN DASH}")
    assert [letter(0), letter(25), letter(26)] == ["A", "Z", "27"]


def test_the_finding_says_whether_a_gain_is_more_than_chance():
    found = evaluation([utterance(1, "a b c d", ["a x c y", "a b c d"])])
    assert "beam has the lowest word error rate: 0.0" in finding(found)
    assert "2 errors fewer than greedy. The difference is not statistically sig" in finding(found)
    sure = (Difference("beam", "greedy", -0.5, Interval(-0.6, -0.4), 0.001),)
    assert "The difference is statistically significant" in finding(
        replace(found, differences=sure)
    )
    tie = evaluation([utterance(1, "a b", ["a x", "a y"])])
    assert finding(tie).startswith("greedy and beam have the same word error rate: 50.0")
    three = evaluation([utterance(1, "a b", ["a x", "a b", "a b"])], ["one", "two", "three"])
    assert finding(three).startswith("two and three have the lowest word error rate: 0.0")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path, text):
    harmless = written(tmp_path, evaluation([utterance(1, "a", ["b", "a"])]))
    hostile = replace(
        evaluation([utterance(1, text, [f"{text} x", text], name=text)], [text, "beam"]),
        manifest=tmp_path / text.replace("/", ""),
        failures=(Failure(2, text, text),),
        normalization=(text,),
    )
    page = written(tmp_path, hostile)
    assert page.handlers == []
    assert "img" not in page.tags
    assert len(page.scripts) == len(harmless.scripts) == 2
    assert page.scripts[1] == harmless.scripts[1]
    assert page.data["utterances"][0]["reference"] == " ".join(text.split())
    assert page.data["utterances"][0]["name"] == text
    assert page.data["systems"] == [text, "beam"]


def test_an_utterance_is_written_with_what_differs_from_its_reference(tmp_path):
    found = evaluation([utterance(7, "go to a", ["go two a b", "go to a"])])
    (one,) = written(tmp_path, found).data["utterances"]
    wrong, right = one["recognized"]
    assert (wrong["steps"], wrong["words"]) == ("=s=i", "two b")
    assert wrong["times"] == [0, 300, 300, 600, 600, 900, 900, 1200]
    assert wrong["confidence"] == [90] * 4
    assert (right["steps"], right["words"]) == ("===", "")


def test_a_loss_that_is_infinite_is_written(tmp_path):
    one = replace(utterance(1, "a", ["a", "a"]), ctc_loss={"demo": math.inf, "other": 1.234})
    (found,) = written(tmp_path, evaluation([one])).data["utterances"]
    assert found["loss"] == {"demo": None, "other": 1.23}


def test_an_evaluation_in_which_all_failed_is_written(tmp_path):
    found = replace(evaluation([]), failures=(Failure(1, "gone.wav", "no such file"),))
    page = written(tmp_path, found)
    assert "No utterance was transcribed" in page.text
    assert "no such file" in page.text
    assert page.data["utterances"] == []


def test_one_system_is_compared_with_none(tmp_path):
    page = written(tmp_path, evaluation([utterance(1, "a b", ["a c"])], ["greedy"]))
    assert "greedy has a word error rate of 50.0\N{NO-BREAK SPACE}% (1 error in 2" in page.text
    for comparing in ("systems disagree", "Difference from A", "dotted line", "best"):
        assert comparing not in page.text


def test_results_that_have_only_texts_are_written(tmp_path):
    page = written(tmp_path, texts_only(evaluation([utterance(1, "a b", ["a c", "a b"])])))
    assert "existing results" in page.text
    assert "No lengths are known" in page.text
    for unknown in ("RTFx", "0.0 s", "alpha"):
        assert unknown not in page.text
    assert page.data["utterances"][0]["recognized"][0]["times"] == [-1, -1, -1, -1]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")

    def broken(*_):
        raise KeyError("broken")

    with pytest.raises(KeyError):
        write_report(evaluation([utterance(1, "a", ["a", "a"])]), path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("audio", "page", "address"),
    [
        ("clips/a.wav", "report.html", "clips/a.wav"),
        ("clips/a.wav", "reports/report.html", "../clips/a.wav"),
        ("clips/a b#c?d%.wav", "report.html", "clips/a%20b%23c%3Fd%25.wav"),
        ("javascript:alert(1)", "report.html", "javascript%3Aalert%281%29"),
        ("über.wav", "report.html", "%C3%BCber.wav"),
        ("\udcff.wav", "report.html", "%FF.wav"),
    ],
)
def test_audio_is_linked_from_the_page(tmp_path, audio, page, address):
    piece = utterance(1, "a", ["a"], clip=Clip(tmp_path / audio, 1.5, 2.0))
    sound = linked(tmp_path / page)(piece)
    assert (sound.address, sound.offset_s) == (address, 1.5)


def test_audio_that_is_no_file_has_no_link(tmp_path):
    assert linked(tmp_path / "r.html")(utterance(1, "a", ["a"], clip=Clip(b"RIFF"))).address is None


def test_embedded_audio_is_the_piece_that_was_transcribed(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 2 * RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    piece = utterance(1, "a", ["a"], clip=Clip(tmp_path / "a.wav", 0.5, 1.0))
    sound = embedded(RATE_HZ, AudioOptions())(piece)
    kind, _, encoded = sound.address.partition(",")
    heard, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(encoded)), dtype="int16")
    assert (kind, rate_hz, sound.offset_s) == ("data:audio/flac;base64", RATE_HZ, 0.0)
    np.testing.assert_array_equal(heard, samples[RATE_HZ // 2 : RATE_HZ * 3 // 2])


def test_audio_that_has_gone_is_not_embedded(tmp_path):
    gone = utterance(1, "a", ["a"], clip=Clip(tmp_path / "gone.wav"))
    assert embedded(RATE_HZ, AudioOptions())(gone).address is None


def image_of(address):
    return imread(io.BytesIO(base64.b64decode(address.partition(",")[2])))[..., :3]


def test_a_heat_map_is_an_image_that_is_brighter_where_values_are_higher():
    values = np.linspace(0, 1, 12).reshape(3, 4)
    image = image_of(heat_map(values))
    assert image.shape == (3, 4, 3)
    brightness = image @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness.reshape(-1)) > 0).all()


@pytest.mark.parametrize(("lower_hz", "higher_hz"), [(200, 500), (500, 2000), (2000, 6000)])
def test_a_higher_tone_is_drawn_higher(lower_hz, higher_hz):
    time_s = np.arange(RATE_HZ) / RATE_HZ

    def row_of(hz):
        tone = (8000 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)
        drawn = mel_spectrogram(tone, RATE_HZ, 0.01)
        assert drawn.shape == (64, 100)
        return drawn[:, 50].argmax()

    assert row_of(higher_hz) < row_of(lower_hz) - 3


def test_a_click_is_drawn_at_its_time_and_silence_dark():
    samples = np.zeros(RATE_HZ, np.int16)
    samples[RATE_HZ // 4] = 30_000
    drawn = mel_spectrogram(samples, RATE_HZ, 0.01)
    assert drawn.sum(axis=0).argmax() in (24, 25)
    assert drawn[:, 60].max() == 0


def test_a_long_recording_is_drawn_in_fewer_frames():
    assert mel_spectrogram(np.zeros(60 * RATE_HZ, np.int16), RATE_HZ, 0.01).shape[1] <= 1500


def test_the_posteriorgram_marks_the_reference_where_it_is_aligned():
    log_probs = peaky(tokens_of("cab"), CONTRACT.blank + 1)
    reference = [CONTRACT.vocabulary.index(letter) for letter in "cab"]
    found = posteriorgram(log_probs, CONTRACT, reference, duration_s=1.0)
    assert found.tokens == ("c", "a", "b", BLANK)
    assert found.probabilities.shape == (4, 6)
    runs = align(log_probs, reference, CONTRACT.blank)
    assert [mark.row for mark in found.marks] == [0, 1, 2]
    assert [(mark.start, mark.end) for mark in found.marks] == list(
        zip(runs.starts, runs.ends, strict=True)
    )
    assert [(word.text, word.start_s) for word in found.words] == [("cab", 0.0)]


def test_a_reference_that_does_not_fit_is_not_marked():
    log_probs = peaky(tokens_of("a"), CONTRACT.blank + 1)
    found = posteriorgram(log_probs, CONTRACT, [1] * 20, duration_s=1.0)
    assert (found.marks, found.words, found.tokens) == ((), (), ("a", BLANK))


def test_only_the_worst_utterances_that_are_short_enough_are_drawn(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    clip = Clip(tmp_path / "a.wav")
    utterances = [
        utterance(1, "cat", ["cat", "cat"], clip=clip, duration_s=1.0),
        utterance(2, "cat", ["a b c d", "cat"], clip=clip, duration_s=100.0),
        utterance(3, "cat", ["cot", "cat"], clip=clip, duration_s=1.0),
        utterance(4, "cat", ["a b", "c"], clip=Clip(tmp_path / "gone.wav"), duration_s=1.0),
    ]
    asked = []

    def log_probs(one, model):
        asked.append((one.line, model))
        return peaky(tokens_of("cat"), CONTRACT.blank + 1) if one.line == 3 else None

    page = written(tmp_path, evaluation(utterances), ReportOptions(detailed=2), log_probs)
    assert asked == [(4, "demo"), (3, "demo")]
    details = page.data["details"]
    assert set(details) == {"2", "3"}
    assert details["3"] == {"spectrogram": None, "models": []}
    assert image_of(details["2"]["spectrogram"]).shape[:2] == (64, 100)
    assert details["2"]["models"][0]["tokens"] == ["c", "a", "t", BLANK]
    assert details["2"]["models"][0]["words"] == [["cat", 0.0, 0.1]]


def test_pieces_without_their_tokenizer_are_drawn_and_not_aligned(tmp_path):
    log_probs = peaky(np.array([1, 3, 6]), PIECES.blank + 1)
    found = evaluation([utterance(1, "cat", ["cot", "cat"])], contract=PIECES)
    page = written(tmp_path, found, log_probs=lambda *_: log_probs)
    (model,) = page.data["details"]["0"]["models"]
    assert model["tokens"] == ["▁ca", "t", BLANK]
    assert (model["marks"], model["words"]) == ([], [])


def test_the_page_is_small_without_audio(tmp_path):
    """As many utterances, words and systems as AN4's test set has."""
    text = "enter five seven eight four two"
    found = evaluation(
        [utterance(line, text, [text, text[:-4], text, text + " x"]) for line in range(1, 131)],
        ["greedy", "notebook", "defaults", "tuned"],
    )
    write_report(found, tmp_path / "report.html", lambda *_: None)
    assert (tmp_path / "report.html").stat().st_size < 300_000
