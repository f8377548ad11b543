"""Client of a served CTC model: audio in, transcripts out.

::

    from nemo_ctc import Transcriber

    with Transcriber("localhost:8001", "demo") as transcriber:
        for result in transcriber.transcribe(["a.wav", "b.flac"]):
            print(result.transcript or result.error)

Names are loaded when first used, so that the contract's module stays free of everything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audio import AudioOptions, Clip, RawFormat, load_audio, to_pcm
    from .decoding import BeamOptions, GreedyOptions, Hotword
    from .errors import AsrError, AudioWarning
    from .long_audio import LongAudioOptions
    from .transcriber import Result, Transcriber
    from .transcript import Hypothesis, Token, Transcript, Word
    from .wire.connection import ConnectionOptions
    from .wire.contract import Contract
    from .wire.failure_policy import FailurePolicy
    from .wire.transport import TransportOptions

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
    "AsrError": ".errors",
    "AudioOptions": ".audio",
    "AudioWarning": ".errors",
    "BeamOptions": ".decoding",
    "Clip": ".audio",
    "ConnectionOptions": ".wire.connection",
    "Contract": ".wire.contract",
    "FailurePolicy": ".wire.failure_policy",
    "GreedyOptions": ".decoding",
    "Hotword": ".decoding",
    "Hypothesis": ".transcript",
    "LongAudioOptions": ".long_audio",
    "RawFormat": ".audio",
    "Result": ".transcriber",
    "Token": ".transcript",
    "Transcriber": ".transcriber",
    "Transcript": ".transcript",
    "TransportOptions": ".wire.transport",
    "Word": ".transcript",
    "load_audio": ".audio",
    "to_pcm": ".audio",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
