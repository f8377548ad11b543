"""Client of a served CTC model: audio in, transcripts out.

::

    import nemo_ctc

    print(nemo_ctc.transcribe("a.wav", "localhost:8001", "demo").text)

    with nemo_ctc.Transcriber("localhost:8001", "demo") as transcriber:
        for result in transcriber.transcribe(["a.wav", "b.flac"]):
            print(result.error or result.text)

Names are loaded at their first use: ``wire.contract`` imports without the client's packages, and
greedy decoding works without the compiled search, ``nemo_ctc_search``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from . import evaluation as evaluation
    from .asynchronous import AsyncTranscriber as AsyncTranscriber
    from .audio import AudioOptions as AudioOptions
    from .audio import Clip as Clip
    from .audio import RawFormat as RawFormat
    from .audio import Span as Span
    from .audio import load_audio as load_audio
    from .audio import to_pcm as to_pcm
    from .audio.voice_activity import SpeechDetector as SpeechDetector
    from .audio.voice_activity import VadOptions as VadOptions
    from .decoding import BeamOptions as BeamOptions
    from .decoding import GreedyOptions as GreedyOptions
    from .decoding import Hotword as Hotword
    from .decoding import PyctcdecodeOptions as PyctcdecodeOptions
    from .decoding import WeightedLm as WeightedLm
    from .errors import AsrError as AsrError
    from .errors import AudioWarning as AudioWarning
    from .result import Result as Result
    from .segmentation import SegmentationOptions as SegmentationOptions
    from .transcriber import Transcriber as Transcriber
    from .transcriber import transcribe as transcribe
    from .transcript import Hypothesis as Hypothesis
    from .transcript import Segment as Segment
    from .transcript import Token as Token
    from .transcript import Transcript as Transcript
    from .transcript import Word as Word
    from .wire.connection import ConnectionOptions as ConnectionOptions
    from .wire.contract import Contract as Contract
    from .wire.failure_policy import FailurePolicy as FailurePolicy
    from .wire.transport import TransportOptions as TransportOptions

_HOMES = {
    name: module
    for module, names in {
        ".asynchronous": "AsyncTranscriber",
        ".audio": "AudioOptions Clip RawFormat Span load_audio to_pcm",
        ".audio.voice_activity": "SpeechDetector VadOptions",
        ".decoding": "BeamOptions GreedyOptions Hotword PyctcdecodeOptions WeightedLm",
        ".errors": "AsrError AudioWarning",
        ".result": "Result",
        ".segmentation": "SegmentationOptions",
        ".transcriber": "Transcriber transcribe",
        ".transcript": "Hypothesis Segment Token Transcript Word",
        ".wire.connection": "ConnectionOptions",
        ".wire.contract": "Contract",
        ".wire.failure_policy": "FailurePolicy",
        ".wire.transport": "TransportOptions",
    }.items()
    for name in names.split()
}
__all__ = list(_HOMES)
_MODULES = ("errors", "evaluation")


def __getattr__(name: str) -> Any:
    """Load a public name from its module, or a public module (PEP 562)."""
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    """The public names and modules."""
    return [*__all__, *_MODULES]
