"""Recordings in segments, from audio to transcript, through a server that hears coded audio."""

import threading
from functools import cache
from itertools import chain, repeat

import grpc
import numpy as np
import pytest

from client import AudioOptions, BeamOptions, Clip, GreedyOptions, Span, Transcriber
from client.audio.voice_activity import VadOptions
from client.errors import AudioError, DecoderError, InvalidRequest
from client.pipeline import Pipeline, Reader
from client.segmentation import SegmentationOptions
from client.wire.contract import TOKENS
from client.wire.transport import TransportOptions
from tests.client.support import (
    CONTRACT,
    encoded,
    infer_reply,
    peaky,
    scored_reply,
    scripted_server,
    tokens_of,
)
from tests.client.test_cutting import clip, planned
from tests.client.test_transcriber import Instant, in_thread

RATE_HZ = 16000
FRAME = 320
MARKS = 32
PAUSE = np.zeros(RATE_HZ, np.int16)
BEAM = BeamOptions(nbest=3)
DOUBT = 26  # "z", which each window may begin with


@cache
def marked(number):
    """A clip whose samples' low bits tell its number, which nobody hears but the server."""
    return (clip(number) // MARKS * MARKS + number).astype(np.int16)


def talk(*numbers):
    """Clips with pauses between them; its text is a letter for each."""
    return np.concatenate([PAUSE, *chain(*((marked(number), PAUSE) for number in numbers))])


def letters(*numbers):
    return " ".join(CONTRACT.vocabulary[number] for number in numbers)


def tokens_in(request):
    """What a model hears in marked samples: each frame is its clip's letter, or blank."""
    samples = np.frombuffer(request.raw_input_contents[0], np.int16)
    marks = samples[FRAME // 2 :: FRAME] % MARKS
    return np.where(marks == 0, CONTRACT.blank, marks).astype(np.int32)


def said(tokens, request):
    """The reply of a model that heard these tokens."""
    if [output.name for output in request.outputs if output.name == TOKENS]:
        reply = infer_reply(length=len(tokens))
        reply.outputs[0].shape[:] = [1, len(tokens)]
        reply.raw_output_contents[0] = tokens.tobytes()
        return reply
    log_probs = peaky(tokens, CONTRACT.blank + 1)
    if len(letters := np.flatnonzero(tokens != CONTRACT.blank)):
        log_probs[letters[0], [tokens[letters[0]], DOUBT]] = np.log([0.9, 0.1])
    return scored_reply(log_probs, request)


def hear(request, _):
    return said(tokens_in(request), request)


def hear_coded(request, _):
    """As ``audible`` says it: every frame's samples are its token."""
    samples = np.frombuffer(request.raw_input_contents[0], np.int16)
    return said(samples[::FRAME].astype(np.int32), request)


def audible(text):
    return np.repeat(tokens_of(text), FRAME).astype(np.int16)


def transcribed(items, infer=hear, **options):
    with scripted_server(infer) as url, Transcriber(url, "demo", **options) as transcriber:
        return list(transcriber.transcribe(items))


def words_of(timed):
    return [(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in timed.words]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoder": BEAM},
        {"decoder": BEAM, "threads": 3},
        {"segmentation": SegmentationOptions("vad")},
        {"log_probs": True},
    ],
    ids=["greedy", "beam", "threads", "vad", "log_probs"],
)
def test_each_speech_is_a_segment_with_its_place_and_words(options):
    numbers = (1, 4, 10)
    recording = talk(*numbers)
    (result,) = transcribed([encoded(recording)], **options)
    transcript = result.transcript
    assert result.duration_s == len(recording) / RATE_HZ
    assert transcript.text == letters(*numbers)
    assert [each.text for each in transcript.segments] == letters(*numbers).split()
    assert list(transcript.words) == [word for each in transcript.segments for word in each.words]
    assert [word.text for word in transcript.words] == transcript.text.split()
    at = 0
    for number, segment in zip(numbers, transcript.segments, strict=True):
        at += RATE_HZ
        start_s, end_s = at / RATE_HZ, (at + len(clip(number))) / RATE_HZ
        at += len(clip(number))
        assert start_s - 0.25 < segment.start_s < segment.end_s < end_s + 0.25
        (word,) = segment.words
        assert word.start_s == pytest.approx(max(start_s, segment.start_s), abs=0.021)
        assert word.end_s == pytest.approx(min(end_s, segment.end_s), abs=0.021)
        assert (segment.channel, segment.speaker) == (None, None)
        assert (len(segment.nbest) > 1) == ("decoder" in options)
    if options.get("decoder"):
        assert transcript.nbest == ()
        for segment in transcript.segments:
            assert segment.nbest[0].text == segment.text
            assert segment.nbest[0].words == segment.words
            assert all(
                segment.start_s <= word.start_s <= word.end_s <= segment.end_s + 1e-6
                for each in segment.nbest
                for word in each.words
            )


def test_log_probs_are_on_the_segments_frame_by_frame():
    (result, short) = transcribed([talk(1, 4), marked(10)[:16000]], log_probs=True)
    assert result.log_probs is None
    for number, segment in zip((1, 4), result.transcript.segments, strict=True):
        n_frames = (segment.end_s - segment.start_s) * RATE_HZ / FRAME
        assert segment.log_probs.shape == (pytest.approx(n_frames, abs=1), CONTRACT.blank + 1)
        heard = set(segment.log_probs.argmax(axis=1))
        assert heard - {CONTRACT.blank} == {number}
        assert segment.words[0].confidence > 0.8
    assert short.log_probs.shape == (50, CONTRACT.blank + 1)
    assert short.transcript.segments is None
    (plain,) = transcribed([talk(1, 4)])
    assert [each.log_probs for each in plain.transcript.segments] == [None, None]


def test_silent_recordings_are_empty_transcripts_without_a_request():
    asked = []

    def infer(request, context):
        asked.append(1)
        return hear(request, context)

    silence = np.zeros(20 * RATE_HZ, np.int16)
    for options in ({}, {"log_probs": True}, {"decoder": BEAM, "threads": 2}):
        results = transcribed([silence, encoded(silence), talk(3), silence], infer, **options)
        assert [result.text for result in results] == ["", "", letters(3), ""]
        assert [result.index for result in results] == [0, 1, 2, 3]
        assert [result.duration_s for result in results[:2]] == [20, 20]
        assert results[0].transcript.segments == ()
    in_one_talk = asked[: len(asked) // 3]
    asked.clear()
    transcribed([talk(3)], infer)
    assert len(asked) == len(in_one_talk)


def test_each_channel_is_transcribed_by_itself():
    long = max(len(talk(1, 3)), len(talk(5)))
    both = np.zeros((long, 2), np.int16)
    both[: len(talk(1, 3)), 0] = talk(1, 3)
    both[RATE_HZ // 2 :][: len(talk(5)), 1] = talk(5)[: long - RATE_HZ // 2]
    for item in (both, encoded(both), np.asfortranarray(both)):
        (result,) = transcribed([item], audio=AudioOptions(channel="each"))
        transcript = result.transcript
        assert [(each.channel, each.text) for each in transcript.segments] == [
            (1, letters(1)),
            (2, letters(5)),
            (1, letters(3)),
        ]
        assert transcript.text == letters(1, 5, 3)
        starts = [each.start_s for each in transcript.segments]
        assert starts == sorted(starts)
        assert result.duration_s == long / RATE_HZ


def test_given_spans_are_segments_with_their_speakers_and_times(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(audible("x" * 25 + "cat" + "y" * 22 + "dog" + "z" * 22)))
    spans = (
        Span(2.0, 2.12, speaker="Bob"),
        Span(1.0, 1.12, 1, speaker="Ann"),
        Span(1.0, 2.12),
        Span(2.0, 2.005),
        Span(50.0, 60.0),
    )
    clips = [Clip(path, segments=spans), Clip(path, 1.0, segments=(Span(1.0, 1.12),))]
    for decoder in (GreedyOptions(), BEAM):
        whole, piece = transcribed(clips, hear_coded, decoder=decoder)
        assert [(each.text, each.speaker, each.channel) for each in whole.transcript.segments] == [
            (f"cat{'y' * 22}dog", None, None),
            ("cat", "Ann", 1),
            ("dog", "Bob", None),
        ]
        assert words_of(whole.transcript)[1:] == [("cat", 1.0, 1.1), ("dog", 2.0, 2.1)]
        assert [each.start_s for each in whole.transcript.segments] == [1.0, 1.0, 2.0]
        assert [each.end_s for each in whole.transcript.segments] == [2.12, 1.12, 2.12]
        assert words_of(piece.transcript) == [("dog", 1.0, 1.1)]


def test_long_spans_that_begin_together_are_kept_apart():
    text = "abcdefghij" * 30  # 12 s, of which the model takes 2 s at once
    spans = (Span(0.4, 12), Span(0.4, 12), Span(0.4, 8), Span(0.4, 1.2, speaker="Ann"))
    item = Clip(encoded(audible(text)), segments=spans)
    for segmentation in (SegmentationOptions(), SegmentationOptions("window", 1.0, 0.2)):
        (result,) = transcribed([item], hear_coded, segmentation=segmentation)
        found = [(each.text, each.speaker) for each in result.unwrap().segments]
        assert found == [
            (text[10:30], "Ann"),
            (text[10:200], None),
            (text[10:], None),
            (text[10:], None),
        ]


def test_spans_without_a_channel_are_on_the_channel_that_is_read():
    both = np.stack([audible("cat"), audible("dog")], axis=1)
    spans = (Span(0, 0.12), Span(0, 0.12, 1))
    for given, expected in ((spans[:1], "dog"), (spans, "cat dog")):
        item = Clip(encoded(both), segments=given)
        (result,) = transcribed([item], hear_coded, audio=AudioOptions(channel=2))
        assert result.text == expected


def test_a_span_on_a_channel_that_is_absent_is_that_items_error(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(audible("cat")))
    bad, good = transcribed(
        [Clip(path, segments=(Span(0, 0.1, 2),)), Clip(path, segments=(Span(0, 0.12, 1),))],
        hear_coded,
    )
    assert isinstance(bad.error, AudioError)
    assert bad.error.source == str(path)
    assert good.text == "cat"


@pytest.mark.parametrize("options", [{}, {"decoder": BEAM}, {"decoder": BEAM, "threads": 2}])
def test_a_segment_that_fails_fails_its_recording_alone(options):
    def infer(request, context):
        tokens = tokens_in(request)
        if 4 in tokens:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return said(tokens, request)

    items = [talk(1, 3), talk(3, 4, 5), talk(5), marked(10)[:16000], talk(4), talk(2)]
    results = transcribed(items, infer, **options)
    assert [result.index for result in results] == list(range(6))
    errors = [result.error and type(result.error) for result in results]
    assert errors == [None, InvalidRequest, None, None, InvalidRequest, None]
    texts = [result.transcript and result.text for result in results]
    assert texts == [letters(1, 3), None, letters(5), letters(10), None, letters(2)]


def test_a_segment_that_cannot_be_decoded_ends_its_recording():
    asked = []

    def infer(request, context):
        asked.append(1)
        reply = hear(request, context)
        if 4 in tokens_in(request):
            reply.raw_output_contents[0] = np.full(len(tokens_in(request)), 77, "i4").tobytes()
        return reply

    items = [talk(*[4] * 30), talk(3)]
    options = TransportOptions(max_in_flight=1)
    bad, good = transcribed(items, infer, options=options)
    assert isinstance(bad.error, DecoderError)
    assert good.text == letters(3)
    assert len(asked) < 60


def test_a_recording_that_breaks_off_is_an_error_where_nothing_is_missing_before(tmp_path):
    class Breaking:
        """A file that raises once it is read."""

        def read(self, _):
            """Break off."""
            raise OSError("gone")

    path = tmp_path / "half.flac"
    whole = encoded(talk(1, 3, 5, 2), kind="FLAC")
    path.write_bytes(whole[: len(whole) // 2])
    items = [talk(3), path, Breaking(), talk(5)]
    for strict in (False, True):
        first, half, gone, last = transcribed(items, audio=AudioOptions(strict=strict))
        assert [first.text, last.text] == [letters(3), letters(5)]
        assert isinstance(gone.error, AudioError)
        if strict:
            assert isinstance(half.error, AudioError)
            assert half.transcript is None
        else:
            assert half.text == letters(1, 3)
            assert len(half.warnings) == 1


def test_samples_that_go_bad_half_way_fail_after_segments_were_sent():
    bad = np.tile(talk(1), 4).astype(np.float32) / 32768
    bad[-1] = np.nan
    asked = []

    def infer(request, context):
        asked.append(1)
        return hear(request, context)

    first, failed, last = transcribed([talk(3), bad, talk(5)], infer, decoder=BEAM, threads=2)
    assert [first.text, last.text] == [letters(3), letters(5)]
    assert isinstance(failed.error, AudioError)
    assert "NaN" in str(failed.error)
    assert len(asked) > 4


def test_results_are_in_the_items_order_whatever_their_lengths():
    items, expected = [], []
    for number in range(1, 9):
        items += [talk(number, 9), marked(number)[8000:24000], np.zeros(3 * RATE_HZ, np.int16)]
        expected += [letters(number, 9), letters(number), ""]
        items.append(b"noise")
        expected.append(None)
    for options in ({}, {"decoder": BEAM, "threads": 3}):
        results = transcribed(items, options=TransportOptions(max_in_flight=3), **options)
        assert [result.transcript and result.text for result in results] == expected
        assert [result.index for result in results] == list(range(len(items)))


@pytest.mark.parametrize("rest", [talk(2), PAUSE])
def test_stop_ends_the_results_in_the_middle_of_a_recording_and_its_reading(rest):
    stop, read_no_more = threading.Event(), threading.Event()

    class Endless(Reader):
        """Reads a recording that never ends."""

        def blocks(self, item, warn):  # noqa: ARG002
            """A clip, and then the rest again and again."""
            try:
                yield from chain([item], repeat(rest))
            finally:
                read_no_more.set()

    class Stopping(Instant):
        """A server whose first answer makes the caller stop."""

        def submit(self, samples, output):
            """Answer."""
            stop.set()
            return super().submit(samples, output)

    one_window_each = planned("vad", longest_s=30)
    pipeline = Pipeline(Stopping(), in_thread(), 2, Endless(RATE_HZ, one_window_each))
    assert list(pipeline.transcribe([talk(1)] * 3, stop)) == []
    assert read_no_more.wait(10)


def test_speech_without_a_pause_is_divided_where_asked():
    vad = VadOptions(max_speech_s=1.5)
    segmentation = SegmentationOptions("vad", vad=vad)
    (result,) = transcribed([talk(4)], segmentation=segmentation)
    segments = result.transcript.segments
    assert len(segments) > 3
    assert all(each.end_s - each.start_s < 1.5 + 0.4 for each in segments)
    assert {each.text for each in segments} == {letters(4)}
