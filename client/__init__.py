"""Client of a served CTC model: audio in, transcripts out.

::

    from client import Transcriber

    with Transcriber("localhost:8001", "demo") as transcriber:
        for result in transcriber.transcribe(["a.wav", "b.flac"]):
            print(result.transcript or result.error)

Names are loaded when first used, so that ``client.contract`` stays free of everything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client.audio import AudioOptions, Clip, RawFormat, load_audio, to_pcm
    from client.connection import ConnectionOptions
    from client.contract import Contract
    from client.decoding import BeamOptions, GreedyOptions, Hotword
    from client.errors import AsrError, AudioWarning
    from client.failure_policy import FailurePolicy
    from client.long_audio import LongAudioOptions
    from client.transcriber import Result, Transcriber
    from client.transcript import Hypothesis, Token, Transcript, Word
    from client.transport import TransportOptions

__all__ = [
    "AsrError",
    "AudioOptions",
    "AudioWarning",
    "BeamOptions",
    "Clip",
    "ConnectionOptions",
    "Contract",
    "FailurePolicy",
    "GreedyOptions",
    "Hotword",
    "Hypothesis",
    "LongAudioOptions",
    "RawFormat",
    "Result",
    "Token",
    "Transcriber",
    "Transcript",
    "TransportOptions",
    "Word",
    "load_audio",
    "to_pcm",
]

_HOMES = {
    "AsrError": "client.errors",
    "AudioOptions": "client.audio",
    "AudioWarning": "client.errors",
    "BeamOptions": "client.decoding",
    "Clip": "client.audio",
    "ConnectionOptions": "client.connection",
    "Contract": "client.contract",
    "FailurePolicy": "client.failure_policy",
    "GreedyOptions": "client.decoding",
    "Hotword": "client.decoding",
    "Hypothesis": "client.transcript",
    "LongAudioOptions": "client.long_audio",
    "RawFormat": "client.audio",
    "Result": "client.transcriber",
    "Token": "client.transcript",
    "Transcriber": "client.transcriber",
    "Transcript": "client.transcript",
    "TransportOptions": "client.transport",
    "Word": "client.transcript",
    "load_audio": "client.audio",
    "to_pcm": "client.audio",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
