"""The transcriber for asyncio: the results of one client, each awaited in a thread.

Cancelling ends the iterator: nothing more is sent, and requests in flight end by themselves, with
their answers or at their deadline.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing
from functools import partial
from threading import Event
from typing import Any, Final, Self, Unpack

from .audio import AudioItem
from .pipeline import Item, requests_ahead
from .result import Result
from .transcriber import Transcriber, TranscriberOptions, transcript_of
from .transcript import Transcript

_END: Final = object()


class AsyncTranscriber:
    """A ``Transcriber`` for asyncio: an asynchronous context manager, which connects on entry.

    The arguments are those of ``Transcriber``, and so are the errors, raised on entry. Any number
    of tasks may call all methods at once; before entry they raise ``RuntimeError``.
    """

    def __init__(
        self, url: str | Sequence[str], model: str, **options: Unpack[TranscriberOptions]
    ) -> None:
        self._connect = partial(Transcriber, url, model, **options)

    async def __aenter__(self) -> Self:
        thread = ThreadPoolExecutor(1, "nemo_ctc connecting")
        connecting = thread.submit(self._connect)
        thread.shutdown(wait=False)
        try:
            self._transcriber = await asyncio.wrap_future(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_close)
            raise
        # Each recording that is awaited by itself takes threads of its own.
        self._room = asyncio.Semaphore(requests_ahead(self._transcriber.max_in_flight))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._transcriber.close)

    async def transcribe_one(self, item: AudioItem) -> Transcript:
        """The transcript of one recording, as ``Transcriber.transcribe_one`` gives it."""
        self._check_entered()
        async with self._room, aclosing(self.transcribe([item])) as results:
            return transcript_of(await anext(results))

    async def transcribe(
        self, items: Iterable[Item] | AsyncIterable[Item]
    ) -> AsyncGenerator[Result, None]:
        """One result for each item, in order, as ``Transcriber.transcribe`` gives them.

        Items are taken as results are, at most as far ahead as there. Those of an asynchronous
        iterable are awaited in the event loop, others in a thread, which a source that blocks for
        ever keeps. Raises ``TypeError`` for a single recording, with the first result.
        """
        self._check_entered()
        with ExitStack() as ending:
            stop = Event()
            ending.callback(stop.set)
            if isinstance(items, AsyncIterable):
                items = ending.enter_context(closing(_Source(items)))
            results = self._transcriber.transcribe(items, stop=stop)
            async with aclosing(_awaited(results)) as awaited:
                async for result in awaited:
                    yield result

    def _check_entered(self) -> None:
        if not hasattr(self, "_transcriber"):
            raise RuntimeError(
                "AsyncTranscriber is not connected: use it within "
                "`async with AsyncTranscriber(…) as transcriber:`"
            )


def _close(connecting: Future[Transcriber]) -> None:
    """Close what connected too late."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


async def _awaited(results: Generator[Result, None, None]) -> AsyncGenerator[Result, None]:
    """The results, each waited for in a thread, which closes them in the end."""
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, "nemo_ctc results")
    try:
        while result := await loop.run_in_executor(thread, next, results, None):
            yield result
    finally:
        thread.submit(results.close)  # after the result that it may still wait for
        thread.shutdown(wait=False)


class _Source:
    """The items of an asynchronous iterable, awaited in the event loop and taken in a thread."""

    def __init__(self, items: AsyncIterable[Item]) -> None:
        self._items = aiter(items)
        self._loop = asyncio.get_running_loop()
        self._awaiting: asyncio.Task[Any] | None = None
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        item: Any = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Wait for no more items; called in the event loop."""
        self._closed = True
        if self._awaiting is not None:
            self._awaiting.cancel()

    async def _next(self) -> Any:
        if self._closed:
            return _END
        self._awaiting = asyncio.current_task()
        return await anext(self._items, _END)
