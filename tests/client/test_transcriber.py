"""The main path: results in the items' order, few items at a time, one failure for one item."""

import ctypes
import gzip
import http.client
import io
import threading
import zipfile
import zlib
from array import array
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from time import sleep

import grpc
import numpy as np
import pytest

import client
from client import AudioOptions, BeamOptions, Clip, Transcriber
from client.decoding import GreedyDecoder
from client.decoding.stage import InThread, InThreads
from client.errors import (
    AudioError,
    DecoderError,
    InvalidRequest,
    ManifestError,
    ServerError,
)
from client.pipeline import Pipeline
from client.segmentation import SegmentationOptions
from client.wire.failure_policy import FailurePolicy
from client.wire.transport import TransportOptions, TritonTransport
from tests.client.support import (
    CONTRACT,
    encoded,
    infer_reply,
    scripted_server,
    tokens_of,
)

SAMPLES = np.zeros(1000, np.int16)


def samples_of(request):
    """How many samples a request carries; the tests number their utterances by it."""
    return request.inputs[0].shape[1]


def texts(results):
    return [result.transcript.text for result in results]


def test_every_kind_of_item_is_transcribed(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(SAMPLES))
    items = [path, str(path), path.read_bytes(), SAMPLES, SAMPLES / 32768, Clip(path, 0.01, 0.03)]
    with scripted_server() as url, Transcriber(url, "demo") as transcriber:
        results = list(transcriber.transcribe(items))
    assert texts(results) == ["cat"] * 6
    assert [result.duration_s for result in results] == [0.0625] * 5 + [0.03]


def test_replies_out_of_order_give_results_in_order():
    last_has_come = threading.Event()

    def infer(request, _):
        number = samples_of(request) - 1000
        if number == 3:
            last_has_come.set()
        assert last_has_come.wait(10)
        return infer_reply("abcd"[number])

    items = [np.zeros(1000 + number, np.int16) for number in range(4)]
    with scripted_server(infer) as url, Transcriber(url, "demo") as transcriber:
        results = list(transcriber.transcribe(items))
    assert texts(results) == ["a", "b", "c", "d"]
    assert [result.index for result in results] == [0, 1, 2, 3]


def test_as_many_requests_as_allowed_are_in_flight_and_items_are_read_when_needed():
    together = threading.Barrier(3, timeout=10)  # passes only when three requests are there
    there = []
    most_there = []
    read = []

    def infer(*_):
        there.append(1)
        most_there.append(len(there))
        together.wait()
        there.pop()
        return infer_reply()

    def items():
        for number in range(9):
            read.append(number)
            yield SAMPLES

    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", options=TransportOptions(max_in_flight=3)) as transcriber,
    ):
        for result in transcriber.transcribe(items()):
            assert result.error is None
            assert len(read) - result.index <= 4 * 3
    assert max(most_there) == 3


def test_a_slow_reply_holds_back_results_but_no_requests():
    others = threading.Semaphore(0)

    def infer(request, _):
        if samples_of(request) == 1000:
            assert all(others.acquire(timeout=10) for _ in range(5))
        else:
            others.release()
        return infer_reply()

    items = [np.zeros(1000 + number, np.int16) for number in range(6)]
    options = TransportOptions(max_in_flight=2)
    with scripted_server(infer) as url, Transcriber(url, "demo", options=options) as transcriber:
        results = list(transcriber.transcribe(items))
    assert texts(results) == ["cat"] * 6


def test_every_answered_request_is_observed():
    def infer(request, context):
        if samples_of(request) == 2000:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return infer_reply()

    seen = []
    items = [SAMPLES, np.zeros(2000, np.int16), SAMPLES]
    options = TransportOptions(observer=seen.append)
    with scripted_server(infer) as url, Transcriber(url, "demo", options=options) as transcriber:
        assert len(list(transcriber.transcribe(items))) == 3
    assert sorted(each.request for each in seen) == [0, 2]
    assert [(each.request_bytes, each.frames, each.batch_frames) for each in seen] == [
        (2000, 6, 8)
    ] * 2
    assert all(each.reply_bytes == infer_reply().ByteSize() for each in seen)
    assert all(each.sent_s < each.replied_s for each in seen)


class Instant:
    """A transport whose every reply is there at once."""

    contract = CONTRACT

    def submit(self, samples, output):  # noqa: ARG002
        """A finished future."""
        future = Future()
        future.set_result(tokens_of("cat"))
        return future

    def close(self):
        """Nothing to close."""


def in_thread():
    return InThread(GreedyDecoder(CONTRACT))


def in_threads():
    return InThreads(GreedyDecoder(CONTRACT), 1, most=4)


@pytest.mark.parametrize("make_stage", [in_thread, in_threads])
def test_a_result_is_given_while_a_live_source_has_no_next_item(make_stage):
    coming = SimpleQueue()
    stage = make_stage()
    items = (coming.get(timeout=10) for _ in range(3))
    results = Pipeline(Instant(), stage, 4).transcribe(items)
    for number in range(3):
        coming.put(SAMPLES)
        assert next(results).index == number
    assert list(results) == []
    stage.close()


def test_one_bad_item_loses_nothing_else():
    def infer(request, context):
        if samples_of(request) == 2000:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        reply = infer_reply()
        if samples_of(request) == 3000:
            reply.raw_output_contents[0] = np.full(8, 77, np.int32).tobytes()
        return reply

    cases = [
        (SAMPLES, None),
        (b"noise", AudioError),
        (SAMPLES, None),
        ("gone.wav", AudioError),
        (42, AudioError),
        (SAMPLES[:5], AudioError),
        (np.zeros(2000, np.int16), InvalidRequest),
        (np.zeros(3000, np.int16), DecoderError),
        (ManifestError("line 9"), ManifestError),
        (SAMPLES, None),
    ]
    with scripted_server(infer) as url, Transcriber(url, "demo") as transcriber:
        results = list(transcriber.transcribe(item for item, _ in cases))
    assert [result.error and type(result.error) for result in results] == [e for _, e in cases]
    assert [result.transcript is None for result in results] == [e is not None for _, e in cases]


def test_a_decoder_that_fails_fails_for_its_item_alone():
    class Fragile(GreedyDecoder):
        def decode(self, outputs, duration_s):
            if items[0] is None:
                raise ZeroDivisionError("once")
            return super().decode(outputs, duration_s)

    items = [SAMPLES, None, SAMPLES]
    stream = Pipeline(Instant(), InThread(Fragile(CONTRACT)), 1).transcribe([SAMPLES] * 3)
    assert next(stream).transcript.text == "cat"
    items[0] = None
    failed = next(stream)
    items[0] = SAMPLES
    assert isinstance(failed.error, DecoderError)
    assert "ZeroDivisionError: once" in str(failed.error)
    assert next(stream).transcript.text == "cat"


def test_when_the_server_dies_each_remaining_item_gets_its_error():
    over = threading.Event()

    def infer(request, context):
        if samples_of(request) >= 1003:  # from the fourth on, no answer before the end
            over.wait(10)
            context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        return infer_reply()

    items = [np.zeros(1000 + number, np.int16) for number in range(30)]
    options = TransportOptions(max_in_flight=4, failures=FailurePolicy(retries=False))
    with scripted_server(infer) as url:
        transcriber = Transcriber(url, "demo", options=options)
        stream = transcriber.transcribe(items)
        before = [next(stream) for _ in range(3)]
        over.set()
    after = list(stream)
    transcriber.close()
    assert texts(before) == ["cat"] * 3
    assert [result.index for result in before + after] == list(range(30))
    assert all(isinstance(result.error, ServerError) for result in after)


def test_a_bad_language_model_hangs_up(tmp_path):
    with scripted_server() as url, pytest.raises(DecoderError):
        Transcriber(url, "demo", decoder=BeamOptions(lm=tmp_path / "gone.arpa"))


def test_whatever_fails_hangs_up(monkeypatch):
    closed = []
    close = TritonTransport.close
    monkeypatch.setattr(
        TritonTransport, "close", lambda transport: closed.append(transport) or close(transport)
    )
    with scripted_server() as url, pytest.raises(AttributeError):
        Transcriber(url, "demo", decoder="beam")
    assert len(closed) == 1


WINDOWS = SegmentationOptions("window")
FRAME = 320
TEXT = " ".join(f"{word}{word[::-1]}" for word in "abcd efgh ijkl mnop qrst uvwx".split() * 9)


def audible(text):
    """A recording that says its text: every frame's samples are its token."""
    return np.repeat(tokens_of(text), FRAME).astype(np.int16)


def heard(request):
    """The samples of a request, and the reply of a model that hears what ``audible`` says."""
    samples = np.frombuffer(request.raw_input_contents[0], np.int16)
    tokens = samples[::FRAME].astype(np.int32)
    reply = infer_reply(length=len(tokens))
    reply.outputs[0].shape[:] = [1, len(tokens)]
    reply.raw_output_contents[0] = tokens.tobytes()
    return samples, reply


@pytest.mark.parametrize(
    "options", [SegmentationOptions("window"), SegmentationOptions("window", 1.01, 0.1)]
)
def test_a_recording_longer_than_the_model_takes_is_transcribed_whole(options):
    lengths = []

    def infer(request, _):
        samples, reply = heard(request)
        lengths.append(len(samples))
        return reply

    long = audible(TEXT)  # 11 s, of which the model takes 2 s at a time
    assert len(long) > 5 * CONTRACT.max_samples
    items = [audible("cat"), long, encoded(long), long / 32768, audible("dog")]
    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", segmentation=options) as transcriber,
    ):
        results = list(transcriber.transcribe(items))
    assert texts(results) == ["cat", TEXT, TEXT, TEXT, "dog"]
    assert [result.duration_s for result in results[1:4]] == [len(long) / 16000] * 3
    assert max(lengths) <= CONTRACT.max_samples
    starts = [word.start_s for word in results[1].transcript.words]
    places = [place for place, letter in enumerate(f" {TEXT}") if letter == " "]
    assert starts == pytest.approx([place * 2 * 0.02 for place in places])


def test_a_recording_that_fits_is_one_request_unless_windows_are_chosen():
    requests = []

    def infer(request, _):
        requests.append(samples_of(request))
        return heard(request)[1]

    item = np.zeros(CONTRACT.max_samples, np.int16)
    with scripted_server(infer) as url:
        for by in (None, "window", "none"):
            options = SegmentationOptions(by)
            with Transcriber(url, "demo", segmentation=options) as transcriber:
                next(transcriber.transcribe([item]))
        assert requests == [32000] * 3
        for by in (None, "window"):
            options = SegmentationOptions(by, window_s=1.0, overlap_s=0.0)
            with Transcriber(url, "demo", segmentation=options) as transcriber:
                next(transcriber.transcribe([item]))
    assert requests[3:] == [16000] * 4


def test_words_are_kept_apart_at_pauses_in_recordings_of_every_length():
    pause = np.full(40 * FRAME, CONTRACT.blank, np.int16)
    short = np.concatenate([audible("cat"), pause, audible("dog")])  # 1 s
    long = np.concatenate([short, np.tile(pause, 2)])
    with (
        scripted_server(lambda request, _: heard(request)[1]) as url,
        Transcriber(url, "demo", segmentation=WINDOWS) as transcriber,
    ):
        assert texts(transcriber.transcribe([short, long])) == ["cat dog", "cat dog"]


def test_without_long_audio_such_a_recording_is_an_error():
    with (
        scripted_server() as url,
        Transcriber(url, "demo", segmentation=SegmentationOptions("none")) as transcriber,
    ):
        (long, short) = transcriber.transcribe([np.zeros(32001, np.int16), SAMPLES])
    assert isinstance(long.error, AudioError)
    assert "too long" in str(long.error)
    assert short.transcript.text == "cat"


def test_a_window_that_fails_is_its_recordings_error_alone_and_ends_it():
    requests = []

    def infer(request, context):
        samples, reply = heard(request)
        requests.append(len(samples))
        if samples[0] == CONTRACT.vocabulary.index("z"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        return reply

    bad = np.full(100 * CONTRACT.max_samples, CONTRACT.vocabulary.index("z"), np.int16)
    items = [audible(TEXT), bad, audible(TEXT), bad[:320], audible("cat")]
    options = TransportOptions(max_in_flight=2)
    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", options=options, segmentation=WINDOWS) as transcriber,
    ):
        results = list(transcriber.transcribe(items))
    errors = [result.error and type(result.error) for result in results]
    assert errors == [None, InvalidRequest, None, InvalidRequest, None]
    assert [result.transcript.text for result in results[::2]] == [TEXT, TEXT, "cat"]
    assert len(requests) < 60


def test_no_more_windows_are_in_flight_than_allowed():
    there = threading.Semaphore(3)

    def infer(request, _):
        assert there.acquire(blocking=False)
        sleep(0.01)
        there.release()
        return heard(request)[1]

    options = TransportOptions(max_in_flight=3)
    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", options=options, segmentation=WINDOWS) as transcriber,
    ):
        results = list(transcriber.transcribe([audible(TEXT)] * 3))
    assert texts(results) == [TEXT] * 3


def test_results_before_a_long_recording_do_not_wait_for_its_end():
    asked = threading.Semaphore(0)

    def infer(request, _):
        samples, reply = heard(request)
        if samples[0] == CONTRACT.vocabulary.index("z"):
            assert asked.acquire(timeout=10)
        return reply

    long = np.full(10 * CONTRACT.max_samples, CONTRACT.vocabulary.index("z"), np.int16)
    options = TransportOptions(max_in_flight=2)
    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", options=options, segmentation=WINDOWS) as transcriber,
    ):
        results = transcriber.transcribe([audible("cat"), long])
        assert next(results).transcript.text == "cat"  # while no window is answered
        for _ in range(30):
            asked.release()
        assert next(results).error is None


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros((3, 2, 1)), np.array(1.0), np.zeros(999, int)]
)
def test_arrays_that_are_no_audio_are_their_own_error(samples):
    with scripted_server() as url, Transcriber(url, "demo") as transcriber:
        (result,) = transcriber.transcribe([samples])
    assert isinstance(result.error, AudioError)


def test_every_error_of_a_recording_names_it(tmp_path):
    path = tmp_path / "short.wav"
    path.write_bytes(encoded(SAMPLES[:5]))
    tiny = SAMPLES[:5]
    items = [
        path,
        {"path": path},
        Clip(path),
        tiny,
        np.zeros(999, int),
        (tiny, 16000),
        BROKEN["name raises"][0](tmp_path),
    ]
    with (
        scripted_server() as url,
        Transcriber(url, "demo", segmentation=SegmentationOptions("none")) as transcriber,
    ):
        sources = [result.error.source for result in transcriber.transcribe(items)]
    assert sources[:3] == [str(path)] * 3
    assert sources[3:5] == ["an item of type ndarray"] * 2
    assert sources[5:] == ["an item of type tuple", "an item of type File"]


def test_windows_longer_than_the_model_takes_hang_up(monkeypatch):
    closed = []
    close = TritonTransport.close
    monkeypatch.setattr(
        TritonTransport, "close", lambda transport: closed.append(transport) or close(transport)
    )
    with scripted_server() as url, pytest.raises(AudioError, match="choose shorter ones"):
        Transcriber(url, "demo", segmentation=SegmentationOptions(window_s=30.0))
    assert len(closed) == 1


def test_no_requests_in_flight_would_be_no_use():
    with pytest.raises(ValueError, match="max_in_flight is 0"):
        TransportOptions(max_in_flight=0)


@pytest.mark.parametrize("name", client.__all__)
def test_public_names_are_there_when_asked_for(name):
    assert getattr(client, name).__name__ == name
    assert name in dir(client)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="Transcribe"):
        _ = client.Transcribe


class Body:
    """An HTTP body that breaks off."""

    def __init__(self, error):
        self._error = error

    def read(self, _):
        """Break off."""
        raise self._error


def truncated_gzip():
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(encoded(SAMPLES))[:-9]))


def bad_member():
    """A member of an archive whose check sum is wrong."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.wav", encoded(SAMPLES))
    damaged = archive.getvalue().replace(encoded(SAMPLES)[-100:], bytes(99) + b"x", 1)
    return zipfile.ZipFile(io.BytesIO(damaged)).open("a.wav")


def closed(folder):
    with (folder / "closed.wav").open("wb+") as file:
        file.write(encoded(SAMPLES))
    return file


def raising(attribute):
    """A file that is ready to be read, but for an attribute that cannot even be looked at."""

    def fail(_):
        raise RuntimeError(f"no {attribute} today")

    file = type("File", (io.BytesIO,), {attribute: property(fail)})
    return lambda _: file(encoded(SAMPLES))


BROKEN = {
    "truncated gzip": (lambda _: truncated_gzip(), EOFError),
    "no gzip": (lambda _: gzip.GzipFile(fileobj=io.BytesIO(b"no gzip")), gzip.BadGzipFile),
    "bad zip": (lambda _: bad_member(), zipfile.BadZipFile),
    "bad deflate": (lambda _: Body(zlib.error("invalid block type")), zlib.error),
    "HTTP body": (
        lambda _: Body(http.client.IncompleteRead(b"x", 100)),
        http.client.IncompleteRead,
    ),
    "closed file": (closed, ValueError),
    "read raises": (raising("read"), RuntimeError),
    "name raises": (raising("name"), RuntimeError),
    "not ready": (lambda _: type("Raw", (), {"read": lambda *_: None})(), type(None)),
    "masked array": (lambda _: np.ma.array(SAMPLES), type(None)),
    "list of samples": (lambda _: [0] * 100_000, type(None)),
    "long path": (lambda _: "a" * 100_000, OSError),
}


@pytest.mark.parametrize(("make", "cause"), BROKEN.values(), ids=BROKEN)
def test_an_item_that_cannot_be_read_fails_alone_and_shortly(make, cause, tmp_path):
    items = [SAMPLES, make(tmp_path), SAMPLES]
    with scripted_server() as url, Transcriber(url, "demo") as transcriber:
        first, bad, last = transcriber.transcribe(items)
    assert texts([first, last]) == ["cat", "cat"]
    assert isinstance(bad.error, AudioError)
    assert isinstance(bad.error.__cause__, cause)
    assert len(str(bad.error)) < 400


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), SystemExit()])
def test_what_is_no_fault_of_an_item_ends_the_batch(error):
    with scripted_server() as url, Transcriber(url, "demo") as transcriber:
        results = transcriber.transcribe([Body(error)])
        with pytest.raises(type(error)):
            list(results)


@pytest.mark.parametrize(
    "single",
    [
        "a.wav",
        Path("a.wav"),
        b"RIFF",
        bytearray(b"RIFF"),
        memoryview(b"RIFF"),
        SAMPLES,
        np.zeros((2, 1000), np.int16),
        array("h", [0] * 1000),
        (ctypes.c_int16 * 1000)(),
        type("Tensor", (list,), {"__array__": np.array})([0] * 1000),
        type("Interface", (list,), {"__array_interface__": SAMPLES.__array_interface__})([0]),
        io.BytesIO(b"RIFF"),
        Clip("a.wav"),
    ],
    ids=lambda single: type(single).__name__,
)
def test_one_recording_in_place_of_a_list_is_refused_at_once(single):
    with (
        scripted_server() as url,
        Transcriber(url, "demo") as transcriber,
        pytest.raises(TypeError, match=r"transcribe_one\(recording\)"),
    ):
        transcriber.transcribe(single)


def test_a_damaged_recording_is_transcribed_with_a_warning_or_refused(tmp_path):
    path = tmp_path / "half.wav"
    path.write_bytes(encoded(SAMPLES)[:1044])
    for strict in (False, True):
        audio = AudioOptions(strict=strict)
        with scripted_server() as url, Transcriber(url, "demo", audio=audio) as transcriber:
            half, whole = transcriber.transcribe([path, SAMPLES])
        assert whole.warnings == ()
        if strict:
            assert "promises 2000 bytes" in str(half.error)
        else:
            assert texts([half]) == ["cat"]
            assert half.duration_s == pytest.approx(500 / 16000)
            (warning,) = half.warnings
            assert warning.startswith(f"{path}: is damaged or truncated: its header promises 2000")


def test_a_long_recording_has_each_warning_once():
    long = audible(TEXT)
    promising_more = encoded(np.append(long, long))[: 44 + 2 * len(long)]
    with (
        scripted_server(lambda request, _: heard(request)[1]) as url,
        Transcriber(url, "demo", segmentation=WINDOWS) as transcriber,
    ):
        (result,) = transcriber.transcribe([promising_more])
    assert texts([result]) == [TEXT]
    assert len(result.warnings) == 1
