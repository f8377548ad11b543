"""One transcriber for several threads: each gets its own results, and all share its requests."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from client import BeamOptions, GreedyOptions, Hotword, Transcriber, TransportOptions
from client.errors import AsrError, AudioError
from tests.client.support import ARPA, infer_reply, scripted_server

WORDS = ["cat", "cot", "dog", "cat cot", "dog cat", "cot dog cat", "a cat", "dogs"]
THREADS = 6


def item_of(number):
    """Samples whose number of them tells the server which words to answer."""
    return np.zeros(1000 + number, np.int16)


def infer(request, _):
    return infer_reply(WORDS[request.inputs[0].shape[1] - 1000])


def together(work):
    """What ``work`` gives in each of several threads that start at once."""
    start = threading.Barrier(THREADS, timeout=30)

    def begin(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as callers:
        return list(callers.map(begin, range(THREADS)))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


def decoders(model):
    return {
        "greedy": (None, 0),
        "greedy with confidence": (GreedyOptions(confidence=True), 0),
        "beam in the thread": (BeamOptions(lm=model, hotwords=(Hotword("dog cat"),)), 0),
        "n-best in the thread": (BeamOptions(lm=model, nbest=3), 0),
        "beam in threads": (BeamOptions(lm=model, hotwords=(Hotword("dog cat"),)), 2),
    }


@pytest.mark.parametrize("name", decoders(None))
def test_threads_get_the_results_of_a_thread_by_itself(name, model):
    decoder, threads = decoders(model)[name]

    def transcripts(number):
        order = np.random.default_rng(number).permutation(np.arange(len(WORDS)).repeat(10))
        given = order.tolist()
        results = list(transcriber.transcribe(map(item_of, given)))
        assert [result.index for result in results] == list(range(len(given)))
        return {(place, result.unwrap()) for place, result in zip(given, results, strict=True)}

    with (
        scripted_server(infer) as url,
        Transcriber(url, "demo", decoder=decoder, threads=threads) as transcriber,
    ):
        alone = {(place, transcriber.transcribe_one(item_of(place))) for place in range(len(WORDS))}
        for found in together(transcripts):
            assert found == alone


def test_threads_share_the_requests_that_may_be_in_flight():
    lock = threading.Lock()
    there = Counter()

    def counting(request, context):
        with lock:
            there["now"] += 1
            there["most"] = max(there["most"], there["now"])
        reply = infer(request, context)
        with lock:
            there["now"] -= 1
        return reply

    options = TransportOptions(max_in_flight=2)
    with (
        scripted_server(counting) as url,
        Transcriber(url, "demo", options=options) as transcriber,
    ):
        texts = together(
            lambda _: [each.text for each in transcriber.transcribe(map(item_of, [0] * 30))]
        )
    assert texts == [["cat"] * 30] * THREADS
    assert there["most"] <= 2


def test_a_thread_that_stops_taking_results_holds_up_no_other():
    options = TransportOptions(max_in_flight=2)
    with scripted_server(infer) as url, Transcriber(url, "demo", options=options) as transcriber:
        idle = [transcriber.transcribe(map(item_of, [0] * 100)) for _ in range(3)]
        assert [next(each).text for each in idle] == ["cat"] * 3
        assert len(list(transcriber.transcribe(map(item_of, [1] * 50)))) == 50


def test_results_end_early_once_another_thread_sets_stop():
    stop = threading.Event()
    endless = (item_of(0) for _ in iter(int, 1))
    with scripted_server(infer) as url, Transcriber(url, "demo") as transcriber:
        results = transcriber.transcribe(endless, stop=stop)
        assert [next(results).text for _ in range(5)] == ["cat"] * 5
        threading.Timer(0.1, stop.set).start()
        assert {result.text for result in results} == {"cat"}


def test_stop_ends_results_while_a_live_source_is_silent():
    stop, over = threading.Event(), threading.Event()

    def silent():
        yield item_of(0)
        over.wait(10)
        over.set()

    with scripted_server(infer) as url, Transcriber(url, "demo") as transcriber:
        results = transcriber.transcribe(silent(), stop=stop)
        assert next(results).text == "cat"
        threading.Timer(0.1, stop.set).start()
        assert list(results) == []
        assert not over.is_set()
        over.set()


def test_one_threads_bad_items_are_its_own():
    def errors(number):
        items = ["gone.wav" if number % 2 else item_of(0)] * 20
        return {type(result.error) for result in transcriber.transcribe(items)}

    with scripted_server(infer) as url, Transcriber(url, "demo") as transcriber:
        assert together(errors) == [{type(None)}, {AudioError}] * (THREADS // 2)


@pytest.mark.parametrize("threads", [0, 1])
def test_closing_while_others_transcribe_ends_their_items_with_errors(threads):
    begun = threading.Barrier(THREADS + 1, timeout=30)

    def outcomes(_):
        results = transcriber.transcribe(map(item_of, [0] * 300))
        first = next(results)
        begun.wait()
        return [first, *results]

    with scripted_server(infer) as url, ThreadPoolExecutor(THREADS) as callers:
        transcriber = Transcriber(url, "demo", decoder=BeamOptions(), threads=threads)
        running = [callers.submit(outcomes, number) for number in range(THREADS)]
        begun.wait()
        transcriber.close()
        for each in running:
            results = each.result(60)
            assert len(results) == 300
            assert all(isinstance(result.error, AsrError | None) for result in results)
            assert results[-1].error is not None
