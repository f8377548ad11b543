"""Where decoding happens: in the caller's thread, or in threads of its own.

Flow: a future of the model's outputs → ``Stage.begin`` → a future of what ``Stage.finish`` makes
the transcript of. In the caller's thread all the work is in ``finish``; other threads start as soon
as the outputs have arrived, and ``finish`` only waits for them.
"""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Condition
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from ..errors import AsrError, DecoderError
from ..transcript import Transcript
from ..wire.top_tokens import Output
from . import Decoder

_MOST_BYTES: Final = 1 << 28
"""Of outputs that wait for a thread: those of many utterances, some hours, or one recording."""

_CLOSED: Final = "decoding has been closed: close the transcriber after its last result"


class Stage(Protocol):
    """Decodes many utterances, each begun before it is finished."""

    output: Output
    """What it decodes of the ensemble's outputs."""
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
        self.output: Output = decoder.output
        self._decoder = decoder

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:  # noqa: ARG002
        """Do nothing yet."""
        return outputs

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:
        """Decode when the outputs have arrived; what the decoder raises is this item's error."""
        return decoded(self._decoder, begun.result(), duration_s)

    def close(self) -> None:
        """Release what the decoder holds."""
        self._decoder.close()


class InThreads:
    """Decodes in ``threads`` threads, which share a decoder that leaves the interpreter to others.

    At most ``most`` utterances are begun ahead. Where threads fall behind with hours of audio,
    whoever hands over outputs waits, to bound memory.
    """

    def __init__(self, decoder: Decoder, threads: int, most: int) -> None:
        self.output: Output = decoder.output
        self.ahead: int = most
        self._decoder = decoder
        self._executor = ThreadPoolExecutor(threads, "decoder")
        self._room = _Room(_MOST_BYTES)

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:
        """Queue the outputs when they have arrived."""
        begun: Future[Transcript] = Future()

        def hand_over(result: Future[Any], then: Callable[[Any], None]) -> None:
            try:
                then(result.result())
            except CancelledError:
                begun.set_exception(DecoderError(_CLOSED))
            except BaseException as error:  # noqa: BLE001 -- lost here, its caller would wait for ever
                begun.set_exception(error)

        def decode(arrived: NDArray[Any]) -> None:
            n_bytes = arrived.nbytes
            self._room.take(n_bytes)
            try:
                done = self._executor.submit(decoded, self._decoder, arrived, duration_s)
            except RuntimeError as error:  # it is shut down
                self._room.give_back(n_bytes)
                raise DecoderError(_CLOSED) from error
            done.add_done_callback(lambda _: self._room.give_back(n_bytes))
            done.add_done_callback(lambda future: hand_over(future, begun.set_result))

        outputs.add_done_callback(lambda future: hand_over(future, decode))
        return begun

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:  # noqa: ARG002
        """Wait for the transcript."""
        transcript: Transcript = begun.result()
        return transcript

    def close(self) -> None:
        """Wait for what is being decoded; the rest is cancelled."""
        self._executor.shutdown(cancel_futures=True)
        self._decoder.close()


def decoded(decoder: Decoder, outputs: NDArray[Any], duration_s: float) -> Transcript:
    """The transcript; raises ``DecoderError`` for anything that is not our own error."""
    try:
        return decoder.decode(outputs, duration_s)
    except AsrError:
        raise
    except Exception as error:
        raise DecoderError(f"the decoder failed: {type(error).__name__}: {error}") from error


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
