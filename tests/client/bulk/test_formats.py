"""What transcripts look like in each format: subtitles that can be read, CTM that can be scored."""

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.audio import Clip
from client.bulk.formats import FORMATS
from client.bulk.formats.subtitles import cues
from client.errors import AudioError
from client.manifests.manifest import Entry
from client.result import Result
from client.transcript import Segment, Transcript, Word, joined


def said(text, every_s=0.5, first_s=0.0, confidence=None):
    """Words of ``text``, each half as long as from one to the next."""
    return tuple(
        Word(word, first_s + number * every_s, first_s + (number + 0.5) * every_s, confidence)
        for number, word in enumerate(text.split())
    )


def written(name, words=(), error=None, fields=None):
    fields = fields or {"audio_filepath": "calls/a b.wav"}
    entry = Entry(1, fields, Clip("calls/a b.wav"))
    transcript = None if error else Transcript(" ".join(word.text for word in words), words)
    return FORMATS[name].write(entry, Result(0, 12.3456, transcript, error))


FAILURE = AudioError("is damaged -->\n at byte 7", options=("AudioOptions.channel",))


def test_an_srt_file():
    words = said("one two three") + said("four", first_s=3661.5)
    assert written("srt", words) == (
        "1\n00:00:00,000 --> 00:00:01,250\none two three\n"
        "\n"
        "2\n01:01:01,500 --> 01:01:02,500\nfour\n"
    )


def test_a_webvtt_file_escapes_what_would_be_a_tag():
    words = (Word("<b>&", 0.0, 1.5, None),)
    assert written("vtt", words) == ("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n&lt;b&gt;&amp;\n")


def test_ctm_has_times_of_the_file_and_confidences_where_they_are_known():
    fields = {"audio_filepath": "calls/a b.wav", "offset": 10, "duration": 2.0}
    words = (Word("one", 0.1, 0.35, 0.98765), Word("two", 0.5, 0.75, None))
    assert written("ctm", words, fields=fields) == (
        "a_b 1 10.100 0.250 one 0.9877\na_b 1 10.500 0.250 two\n"
    )


def test_text_is_a_line_for_each_recording():
    assert written("text", said("one two")) == "calls/a b.wav\tone two\n"


def test_json_lines_keep_the_manifests_fields_but_not_what_an_earlier_run_said():
    fields = {"audio_filepath": "a.wav", "speaker": "x", "error": "old", "pred_text": "old"}
    line = json.loads(written("jsonl", said("hé", confidence=0.12345), fields=fields))
    assert line == {
        "audio_filepath": "a.wav",
        "speaker": "x",
        "duration": 12.346,
        "pred_text": "hé",
        "words": [{"word": "hé", "start": 0.0, "end": 0.25, "confidence": 0.1235}],
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", "calls/a b.wav\t\n"),
        (
            "jsonl",
            '{"audio_filepath": "calls/a b.wav", "error": "is damaged -->\\n at byte 7"}\n',
        ),
        ("srt", ""),
        ("vtt", "WEBVTT\n\nNOTE error: calls/a b.wav: is damaged -> at byte 7\n"),
        ("ctm", ";; a_b: is damaged --> at byte 7\n"),
    ],
)
def test_a_failed_recording_says_so_where_the_format_can(name, expected):
    assert written(name, error=FAILURE) == expected


@pytest.mark.parametrize(("name", "expected"), [("srt", ""), ("vtt", "WEBVTT\n"), ("ctm", "")])
def test_silence_is_an_empty_file(name, expected):
    assert written(name) == expected


def test_a_cue_ends_where_the_speaker_pauses():
    words = said("first second third") + said("fourth fifth", first_s=2.6)
    assert [cue.lines for cue in cues(words)] == [("first second third",), ("fourth fifth",)]


def test_a_full_cue_is_cut_back_to_its_longest_pause():
    words = list(said(" ".join("abcdefghijklmnopqrst"), every_s=0.4))  # 7 s are 17 words and a half
    for number in range(11, 20):  # a little pause before the twelfth
        words[number] = words[number]._replace(
            start_s=words[number].start_s + 0.3, end_s=words[number].end_s + 0.3
        )
    first, second = cues(words)
    assert first.lines == ("a b c d e f g h i j k",)
    assert second.start_ms == 4700


def test_two_lines_are_about_as_long():
    (cue,) = cues(said("it was the best of times it was the worst of times", every_s=0.3))
    assert cue.lines == ("it was the best of times", "it was the worst of times")


def test_a_word_that_no_line_holds_is_broken():
    (cue,) = cues([Word("x" * 80, 0.0, 4.0, None)])
    assert cue.lines == ("x" * 42, "x" * 38)


def test_a_short_cue_stays_to_be_read_but_never_delays_the_next():
    first, second = cues([Word("x" * 42, at_s, at_s + 0.1, None) for at_s in (0.0, 0.1, 0.2)])
    assert (first.start_ms, first.end_ms) == (0, 200)
    assert (second.start_ms, second.end_ms) == (200, 1200)


@st.composite
def speech(draw):
    """Words with any pauses and lengths, some of no length at all."""
    words, at_s = [], draw(st.floats(0, 1e4))
    for text in draw(st.lists(st.text("ab<&", min_size=1, max_size=60), max_size=60)):
        at_s += draw(st.sampled_from((0.0, 0.02, 0.2, 0.5, 3.0)))
        end_s = at_s + draw(st.sampled_from((0.0, 0.02, 0.3, 9.0)))
        words.append(Word(text, at_s, end_s, None))
        at_s = end_s
    return words


@given(speech())
def test_every_cue_can_be_shown_and_nothing_is_lost(words):
    shown = cues(words)
    assert "".join("".join(cue.lines).replace(" ", "") for cue in shown) == "".join(
        word.text for word in words
    )
    assert all(1 <= len(cue.lines) <= 2 for cue in shown)
    assert all(1 <= len(line) <= 42 for cue in shown for line in cue.lines)
    assert all(0 < cue.end_ms - cue.start_ms <= 7000 for cue in shown)
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(shown))


@given(speech())
def test_subtitles_have_the_form_that_players_read(words):
    span = r"\d\d:\d\d:\d\d[.,]\d{3} --> \d\d:\d\d:\d\d[.,]\d{3}\n"
    srt = written("srt", words)
    assert re.fullmatch(rf"(\d+\n{span}([^\n]+\n){{1,2}}(\n(?!\Z)|\Z))*", srt)
    vtt = written("vtt", words)
    assert re.fullmatch(rf"WEBVTT\n(\n{span}([^\n<]+\n){{1,2}})*", vtt)


def call():
    """Two channels that speak at the same time, and a speaker whose name looks like a tag."""
    parts = [
        (Segment("", 0.0, 2.0, channel=1), "good morning"),
        (Segment("", 0.5, 1.5, channel=2, speaker="<Ann> &\n co"), "hello"),
        (Segment("", 3.0, 3.5, channel=1), ""),
    ]
    return joined(
        (segment, Transcript(text, said(text, confidence=0.5))) for segment, text in parts
    )


def written_call(name):
    entry = Entry(1, {"audio_filepath": "call.wav"}, Clip("call.wav"))
    return FORMATS[name].write(entry, Result(0, 4.0, call()))


def test_subtitles_say_who_speaks_and_may_overlap():
    assert written_call("vtt") == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:01.000\n<v Channel 1>good morning\n"
        "\n00:00:00.500 --> 00:00:01.500\n<v &lt;Ann&gt; &amp; co>hello\n"
    )
    assert written_call("srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nChannel 1: good morning\n"
        "\n2\n00:00:00,500 --> 00:00:01,500\n<Ann> & co: hello\n"
    )


def test_ctm_has_the_channel_of_each_word_in_order():
    assert written_call("ctm") == (
        "call 1 0.000 0.250 good 0.5000\n"
        "call 1 0.500 0.250 morning 0.5000\n"
        "call 2 0.500 0.250 hello 0.5000\n"
    )


def test_json_has_segments_and_labels_their_words():
    fields = json.loads(written_call("jsonl"))
    assert fields["pred_text"] == "good morning hello"
    assert [word["word"] for word in fields["words"]] == fields["pred_text"].split()
    assert [word["channel"] for word in fields["words"]] == [1, 1, 2]
    assert [word.get("speaker") for word in fields["words"]] == [None, None, "<Ann> &\n co"]
    assert fields["segments"] == [
        {"start": 0.0, "end": 2.0, "channel": 1, "text": "good morning"},
        {"start": 0.5, "end": 1.5, "channel": 2, "speaker": "<Ann> &\n co", "text": "hello"},
        {"start": 3.0, "end": 3.5, "channel": 1, "text": ""},
    ]
