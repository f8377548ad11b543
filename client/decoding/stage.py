"""Where decoding happens: in the caller's thread, or in worker processes.

Flow: a future of the model's outputs → ``Stage.begin`` → a future of what ``Stage.finish`` makes
the transcript of. In the caller's thread all the work is in ``finish``; a pool starts as soon as
the outputs have arrived, and ``finish`` only waits for it.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from ..transcript import Transcript
from . import BeamDecoder, Decoder
from .pool import DecoderPool
from .worker import portable

_MOST_BYTES: Final = 1 << 28
"""Of outputs that wait for a pool: those of many utterances, some hours, or one recording."""


class Stage(Protocol):
    """Decodes many utterances, each begun before it is finished."""

    output: str
    """The ensemble's tensor that it decodes."""
    ahead: int
    """How many utterances to begin, at most, before the first of them is finished."""

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:
        """Take the outputs, arrived or in flight, of an utterance ``duration_s`` long."""

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:
        """Its transcript; waits for it. Raises what the request or the decoder raised."""

    def close(self) -> None:
        """Release what the decoder holds."""


class InThread:
    """Decodes where ``finish`` is called."""

    ahead: int = 1

    def __init__(self, decoder: Decoder) -> None:
        self.output: str = decoder.output
        self._decoder = decoder

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:  # noqa: ARG002
        """Do nothing yet."""
        return outputs

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:
        """Decode when the outputs have arrived; what the decoder raises is this item's error."""
        outputs = begun.result()
        try:
            return self._decoder.decode(outputs, duration_s)
        except Exception as error:
            raise portable(error, "the decoder failed") from error

    def close(self) -> None:
        """Release what the decoder holds."""
        self._decoder.close()


class InPool:
    """Searches in ``processes`` worker processes, each with a decoder of its own.

    ``most`` bounds the utterances in the queue: whoever begins more waits, and so does the thread
    that sets a future begun before its outputs arrived. Where workers fall behind with hours of
    audio, it waits too, to bound memory. Raises as ``DecoderPool`` does.
    """

    def __init__(self, make: Callable[[], Decoder], processes: int, most: int) -> None:
        self.output: str = BeamDecoder.output
        self.ahead: int = most
        self._pool = DecoderPool(make, processes, most)
        self._room = _Room(_MOST_BYTES)

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:
        """Queue the outputs when they have arrived."""
        begun: Future[Transcript] = Future()

        def hand_over(result: Future[Any], then: Callable[[Any], None]) -> None:
            try:
                then(result.result())
            except Exception as error:  # noqa: BLE001 -- lost here, its caller would wait for ever
                begun.set_exception(error)

        def decode(log_probs: NDArray[Any]) -> None:
            n_bytes = log_probs.nbytes
            self._room.take(n_bytes)
            try:
                decoded = self._pool.submit(log_probs, duration_s)
            except BaseException:
                self._room.give_back(n_bytes)
                raise
            decoded.add_done_callback(lambda _: self._room.give_back(n_bytes))
            decoded.add_done_callback(lambda future: hand_over(future, begun.set_result))

        outputs.add_done_callback(lambda future: hand_over(future, decode))
        return begun

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:  # noqa: ARG002
        """Wait for the transcript."""
        transcript: Transcript = begun.result()
        return transcript

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close()


class _Room:
    """A budget of bytes; who needs more than the whole waits until nobody else has any."""

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._taken = 0
        self._changed = Condition()

    def take(self, n_bytes: int) -> None:
        """Wait until so many are free."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._taken == 0 or self._taken + n_bytes <= self._n_bytes
            )
            self._taken += n_bytes

    def give_back(self, n_bytes: int) -> None:
        """Return them."""
        with self._changed:
            self._taken -= n_bytes
            self._changed.notify_all()
