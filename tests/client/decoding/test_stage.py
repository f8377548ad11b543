"""Decoding in threads: as in the caller's, within its memory, and ended by closing."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from client.decoding import BeamDecoder, BeamOptions, stage
from client.decoding.stage import InThread, InThreads
from client.errors import DecoderError
from client.transcript import Transcript
from client.wire.contract import LOG_PROBS
from tests.client.support import CONTRACT, peaky, tokens_of

TIMEOUT_S = 20


class Gated:
    """A decoder that waits for the test before it repeats an utterance of one word."""

    output = LOG_PROBS

    def __init__(self):
        self.waiting, self.gate = threading.Semaphore(0), threading.Semaphore(0)

    def decode(self, outputs, *_):
        """Wait, then repeat or fail."""
        self.waiting.release()
        assert self.gate.acquire(timeout=TIMEOUT_S)
        if outputs[0] == "fail":
            raise ZeroDivisionError("what decoders do not raise")
        return Transcript(str(outputs[0]))

    def close(self):
        """Nothing to release."""


def arrived(outputs):
    future = Future()
    future.set_result(outputs)
    return future


def test_threads_give_what_the_callers_thread_gives():
    decoder = BeamDecoder(CONTRACT, BeamOptions())
    outputs = [peaky(tokens_of(word), CONTRACT.blank + 1) for word in ("cat", "cot", "dog")] * 40
    here, threads = InThread(decoder), InThreads(decoder, 3, most=200)
    expected = [here.finish(here.begin(arrived(each), 1.0), 1.0) for each in outputs]
    begun = [threads.begin(arrived(each), 1.0) for each in outputs]
    assert [threads.finish(each, 1.0) for each in begun] == expected
    threads.close()


@pytest.mark.parametrize("make", [InThread, lambda decoder: InThreads(decoder, 1, most=2)])
def test_whatever_a_decoder_raises_is_the_utterances_error(make):
    decoder = Gated()
    stage = make(decoder)
    decoder.gate.release()
    begun = stage.begin(arrived(np.array(["fail"])), 1.0)
    with pytest.raises(DecoderError, match="ZeroDivisionError: what decoders do not raise"):
        stage.finish(begun, 1.0)
    stage.close()


def test_threads_that_fall_behind_take_no_more_than_memory_allows(monkeypatch):
    words = [np.array([f"{number}"] * 8) for number in range(4)]
    monkeypatch.setattr(stage, "_MOST_BYTES", 2 * words[0].nbytes)
    decoder = Gated()
    threads = InThreads(decoder, 1, most=9)
    begun = []
    caller = threading.Thread(
        target=lambda: begun.extend(threads.begin(arrived(word), 1.0) for word in words)
    )
    caller.start()
    assert decoder.waiting.acquire(timeout=TIMEOUT_S)
    caller.join(0.3)
    assert caller.is_alive()  # the third waits for the first
    decoder.gate.release(4)
    caller.join(TIMEOUT_S)
    assert [threads.finish(each, 1.0).text for each in begun] == ["0", "1", "2", "3"]
    threads.close()


def test_closing_fails_what_is_not_decoded():
    decoder = Gated()
    threads = InThreads(decoder, 1, most=9)
    first, second = (threads.begin(arrived(np.array([word])), 1.0) for word in ("a", "b"))
    assert decoder.waiting.acquire(timeout=TIMEOUT_S)
    closing = threading.Thread(target=threads.close)
    closing.start()
    with pytest.raises(DecoderError, match="has been closed"):
        threads.finish(second, 1.0)
    decoder.gate.release()
    assert threads.finish(first, 1.0).text == "a"
    closing.join(TIMEOUT_S)
    with pytest.raises(DecoderError, match="has been closed"):
        threads.finish(threads.begin(arrived(np.array(["c"])), 1.0), 1.0)
