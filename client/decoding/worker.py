"""A decoding process: a factory comes in on standard input, then utterances; transcripts go out.

Flow, in pickles: factory → ``None``, or the error that it raised → (number of utterances,
arguments of ``decode`` for each → list of transcripts and errors) again and again. It is started
and fed by ``decoding.pool``, and ends when its standard input does.
"""

import os
import pickle
import select
import sys
import traceback
from contextlib import suppress
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, NoReturn

from ..errors import AsrError, DecoderError
from ..transcript import Transcript

if TYPE_CHECKING:
    from . import Decoder


def main() -> NoReturn:
    """Serve the parent until it hangs up."""
    # Never closed by Python, so that the parent sees it end when the exit status is there to read.
    replies = os.fdopen(os.dup(1), "wb", closefd=False)
    os.dup2(2, 1)  # what a library prints must not get between the replies
    Thread(target=_end_with_parent, daemon=True).start()
    # The parent is gone: before a request, in the middle of one, or before the reply.
    with suppress(EOFError, pickle.UnpicklingError, BrokenPipeError):
        _serve(sys.stdin.buffer, replies)
    os._exit(0)  # without a word about replies that nobody reads


def _end_with_parent() -> None:
    """End in the middle of an utterance too, however long it takes."""
    hang_up = select.poll()
    hang_up.register(0, 0)  # no event but that the other end is closed
    hang_up.poll()
    os._exit(0)


def _serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    failure = "what makes a decoder is not in a module that a decoding process can import"
    try:
        make = pickle.load(requests)  # noqa: S301  # of our parent
        failure = "a decoding process cannot make its decoder"
        decoder = make()
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent raises it
        _send(replies, portable(error, failure))
        return
    _send(replies, None)
    while True:
        count = pickle.load(requests)  # noqa: S301
        # Decoded as they are read, so that one array is held at a time. The reply is not begun
        # before the request's end, or both sides could wait for each other to read.
        _send(replies, [_decode(decoder, requests) for _ in range(count)])


def _decode(decoder: "Decoder", requests: IO[bytes]) -> Transcript | AsrError:
    log_probs, duration_s = pickle.load(requests)  # noqa: S301
    try:
        return decoder.decode(log_probs, duration_s)
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller's future raises it
        return portable(error, "the decoder failed")


def portable(error: Exception, failure: str) -> AsrError:
    """The error itself where it is ours and survives pickling, else one that tells of it."""
    if isinstance(error, AsrError):
        with suppress(Exception):  # as of a subclass whose arguments are not its message
            pickle.loads(pickle.dumps(error))  # noqa: S301
            return error
    told = DecoderError(f"{failure}: {type(error).__name__}: {error}")
    told.add_note("".join(traceback.format_exception(error)))
    return told


def _send(replies: IO[bytes], reply: Any) -> None:
    replies.write(pickle.dumps(reply, pickle.HIGHEST_PROTOCOL))
    replies.flush()
