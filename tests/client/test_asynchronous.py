"""The transcriber for asyncio: the same results, and nothing left behind when it is cancelled."""

import asyncio
import threading
from contextlib import aclosing, suppress

import numpy as np
import pytest

from client import AsyncTranscriber, Transcriber, TransportOptions, asynchronous
from client.errors import AudioError, AudioWarning, ModelNotReady
from tests.client.support import encoded, infer_reply, scripted_server

SAMPLES = np.zeros(1000, np.int16)


async def live(*items):
    """A source that brings its items, and then waits for ever."""
    for item in items:
        yield item
    await asyncio.Event().wait()


async def counted(taken, n_items=10_000):
    for number in range(n_items):
        taken.append(number)
        yield SAMPLES


async def awaited(call):
    return await call


def ours(*names):
    """Threads of ours, by the beginnings of their names."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


async def nothing_is_left(*names):
    """Wait until no thread waits for results or for room; ``TimeoutError`` if one does for ever."""
    async with asyncio.timeout(10):
        for thread in ours(*(names or ("nemo_ctc results", "in order"))):
            await asyncio.to_thread(thread.join)


def test_items_may_come_one_by_one_or_from_iterables_of_both_kinds(server):
    async def main():
        async with AsyncTranscriber(server, "demo") as transcriber:
            assert (await transcriber.transcribe_one(SAMPLES)).text == "cat"
            listed = [each async for each in transcriber.transcribe([SAMPLES, "gone.wav"])]
            awaited = [each async for each in transcriber.transcribe(counted([], 5))]
        assert listed[0].text == "cat"
        assert isinstance(listed[1].error, AudioError)
        assert [each.index for each in awaited] == list(range(5))

    asyncio.run(main())


def test_what_is_wrong_is_raised_where_it_is_awaited(server):
    async def main():
        with pytest.raises(ModelNotReady):
            await AsyncTranscriber(server, "another").__aenter__()
        async with AsyncTranscriber(server, "demo") as transcriber:
            with pytest.raises(AudioError, match=r"gone\.wav"):
                await transcriber.transcribe_one("gone.wav")
            with pytest.raises(TypeError, match=r"transcribe_one\(recording\)"):
                await anext(transcriber.transcribe("a.wav"))
            with pytest.warns(AudioWarning, match="truncated"):
                await transcriber.transcribe_one(encoded(SAMPLES)[:1044])

    asyncio.run(main())


def test_without_async_with_the_error_says_so():
    transcriber = AsyncTranscriber("localhost:8001", "demo")
    for call in (transcriber.transcribe_one(SAMPLES), anext(transcriber.transcribe([SAMPLES]))):
        with pytest.raises(RuntimeError, match="async with AsyncTranscriber"):
            asyncio.run(awaited(call))


def test_what_connects_after_its_wait_was_cancelled_is_closed(server, monkeypatch):
    connected, closed = threading.Event(), threading.Event()

    class Slow(Transcriber):
        def __init__(self, *args, **options):
            connected.wait(10)
            super().__init__(*args, **options)

        def close(self):
            super().close()
            closed.set()

    async def main():
        entering = asyncio.create_task(AsyncTranscriber(server, "demo").__aenter__())
        await asyncio.sleep(0.1)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering

    monkeypatch.setattr(asynchronous, "Transcriber", Slow)
    threading.Timer(0.5, connected.set).start()
    asyncio.run(main())
    assert closed.wait(10)


def test_an_exception_of_the_source_comes_after_the_results_before_it(server):
    async def failing():
        yield SAMPLES
        raise ZeroDivisionError

    async def main():
        async with AsyncTranscriber(server, "demo") as transcriber:
            results = transcriber.transcribe(failing())
            assert (await anext(results)).text == "cat"
            with pytest.raises(ZeroDivisionError):
                await anext(results)

    asyncio.run(main())


def test_many_recordings_are_awaited_at_once_within_the_requests_allowed():
    there, most = [], []

    def infer(*_):
        there.append(1)
        most.append(len(there))
        there.pop()
        return infer_reply()

    async def main():
        options = TransportOptions(max_in_flight=3)
        async with AsyncTranscriber(url, "demo", options=options) as transcriber:
            awaited = await asyncio.gather(
                *(transcriber.transcribe_one(SAMPLES) for _ in range(100))
            )
        assert {each.text for each in awaited} == {"cat"}
        await nothing_is_left()

    with scripted_server(infer) as url:
        asyncio.run(main())
    assert max(most) <= 3


def test_the_event_loop_goes_on_while_the_server_works():
    answer = threading.Event()

    def infer(*_):
        assert answer.wait(10)
        return infer_reply()

    async def main():
        async with AsyncTranscriber(url, "demo") as transcriber:
            waiting = asyncio.create_task(transcriber.transcribe_one(SAMPLES))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            answer.set()
            assert (await waiting).text == "cat"

    with scripted_server(infer) as url:
        asyncio.run(main())


def test_a_source_is_not_taken_further_than_its_results_are(server):
    taken = []

    async def main():
        options = TransportOptions(max_in_flight=2)
        async with (
            AsyncTranscriber(server, "demo", options=options) as transcriber,
            aclosing(transcriber.transcribe(counted(taken))) as results,
        ):
            async for result in results:
                await asyncio.sleep(0.01)
                assert len(taken) - result.index <= 4 * 2 + 1
                if result.index == 30:
                    break
        await nothing_is_left()

    asyncio.run(main())
    assert len(taken) < 50


@pytest.mark.parametrize("answered", [True, False])
def test_cancelling_ends_the_source_and_leaves_no_requests(answered):
    answer = threading.Event()
    requests = []

    def infer(*_):
        requests.append(1)
        if not answered:
            assert answer.wait(10)
        return infer_reply()

    async def consume(transcriber):
        async for _ in transcriber.transcribe(live(SAMPLES, SAMPLES, SAMPLES)):
            pass

    async def main():
        options = TransportOptions(max_in_flight=2)
        async with AsyncTranscriber(url, "demo", options=options) as transcriber:
            consumer = asyncio.create_task(consume(transcriber))
            await asyncio.sleep(0.3)
            consumer.cancel()
            with suppress(asyncio.CancelledError):
                await consumer
            answer.set()
            await nothing_is_left()
            # All permits are back: as many as allowed can be in flight again.
            texts = [(await transcriber.transcribe_one(SAMPLES)).text for _ in range(4)]
            assert texts == ["cat"] * 4
            assert len(requests) <= 3 + 4

    with scripted_server(infer) as url:
        asyncio.run(main())


def test_cancelling_leaves_a_blocking_source_to_a_thread_that_does_not_hold_up_the_exit(server):
    over = threading.Event()

    def silent():
        yield SAMPLES
        over.wait(20)

    async def main():
        async with AsyncTranscriber(server, "demo") as transcriber:
            results = transcriber.transcribe(silent())
            await anext(results)
            waiting = asyncio.create_task(anext(results))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            await nothing_is_left("nemo_ctc results")  # Python joins these at exit
            assert all(thread.daemon for thread in ours("in order"))
        over.set()

    asyncio.run(main())


def test_a_long_recording_that_is_cancelled_is_not_sent_to_its_end():
    requests = []
    begun = threading.Event()

    def infer(request, _):
        requests.append(1)
        begun.set()
        length = request.inputs[0].shape[1] // 320
        return infer_reply("a" * 100, length=min(length, 100))

    async def main():
        options = TransportOptions(max_in_flight=1)
        async with AsyncTranscriber(url, "demo", options=options) as transcriber:
            waiting = asyncio.create_task(transcriber.transcribe_one(np.zeros(32_000 * 500)))
            await asyncio.to_thread(begun.wait, 10)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            await nothing_is_left()

    with scripted_server(infer) as url:
        asyncio.run(main())
    assert len(requests) < 400
