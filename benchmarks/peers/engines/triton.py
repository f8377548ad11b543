"""Ours as it is used: the client against the embedded Triton, greedy, many requests in flight."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.worker import Engine
from benchmarks.pipeline import read_contract
from client import AsrError, Transcriber
from client.wire.transport import TransportOptions
from server import EmbeddedServer, ServerOptions, free_ports

PACKAGES: Final = ("nvidia-pytriton", "onnxruntime", "tritonclient", "numpy", "soundfile")


class Triton:
    """Clients of one model; the option ``in_flight`` is how many requests are in flight."""

    def __init__(self, transcribers: Mapping[int, Transcriber]) -> None:
        self._transcribers = transcribers

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Texts in the order of the files; raises the first error of a file."""
        texts = []
        for result in self._transcribers[options["in_flight"]].transcribe(map(Path, files)):
            if result.transcript is None:
                raise result.error or AsrError("no transcript and no error")
            texts.append(result.transcript.text)
        return texts


@contextmanager
def load(settings: Mapping[str, Any], threads: int) -> Iterator[Engine]:  # noqa: ARG001
    """Serve the model ``name`` of ``repository`` on free ports, for each number ``in_flight``.

    It is served as it was exported: its instances have as many threads together as everybody else.
    """
    repository, name = Path(settings["repository"]), settings["name"]
    with ExitStack() as stack:
        models = tuple(read_contract(repository, name).models(name))
        options = ServerOptions(repository, models=models, **free_ports())
        url = stack.enter_context(EmbeddedServer(options)).grpc_url
        yield Triton(
            {
                most: stack.enter_context(
                    Transcriber(url, name, options=TransportOptions(max_in_flight=most))
                )
                for most in settings["in_flight"]
            }
        )
