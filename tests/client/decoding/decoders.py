"""Decoders for the pool's tests, in a module that its processes can import."""

import os
import signal
import socket
import zlib

from client.errors import DecoderError
from client.transcript import Transcript
from client.wire.contract import LOG_PROBS


class AwkwardError(DecoderError):
    """Pickles, but does not unpickle."""

    def __init__(self, frame, reason):
        super().__init__(f"{reason} in frame {frame}")


class Scripted:
    """An utterance is an array of one word; some words are orders, others come back."""

    output = LOG_PROBS

    def decode(self, posteriors, *_):
        """Obey, or repeat."""
        match word := str(posteriors[0]):
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "refuse":
                raise DecoderError("no such token")
            case "refuse awkwardly":
                raise AwkwardError(7, "no such token")
            case "fail":
                raise ZeroDivisionError("what decoders do not raise")
            case "print":
                print("chatter", flush=True)  # noqa: T201
                os.write(1, b"of libraries\n")
            case "threads":
                return Transcript(os.environ["OMP_NUM_THREADS"])
            case "unpicklable":
                return lambda: None
        return Transcript(word)

    def close(self):
        """Nothing to release."""


class Signed(Scripted):
    """Another decoder, whose texts begin with the process that made them."""

    def __init__(self, make):
        self._decoder = make()

    def decode(self, *utterance):
        """The other's text, signed."""
        return Transcript(f"{os.getpid()} {self._decoder.decode(*utterance).text}")


class Gated(Scripted):
    """Calls the test for each utterance, and waits for it to hang up."""

    def __init__(self, port):
        self._port = port

    def decode(self, posteriors, *_):
        """Call and wait, then obey or repeat."""
        with socket.create_connection(("127.0.0.1", self._port)) as call:
            call.recv(1)
        return super().decode(posteriors)


class Fragile(Scripted):
    """Crashes at the word "once", the first time; then it may be missing what it is made of."""

    def __init__(self, marker, *, missing_then):
        self._marker = marker
        if missing_then and marker.exists():
            raise DecoderError("the language model is gone")

    def decode(self, posteriors, *_):
        """Crash, or obey or repeat."""
        if posteriors[0] == "once" and not self._marker.exists():
            self._marker.touch()
            os._exit(3)
        return super().decode(posteriors)


class Echo(Scripted):
    """Answers with a checksum, repeated until the text is as large as the array."""

    def decode(self, posteriors, *_):
        """A text of one byte for each of the array's."""
        return Transcript(f"{zlib.crc32(posteriors.tobytes()):08x}" * (posteriors.nbytes // 8))


def make_nothing():
    raise ZeroDivisionError("what factories do not raise")


def make_exit():
    os._exit(4)
