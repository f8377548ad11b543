"""What to put into a report; more makes a larger file."""

from dataclasses import dataclass, field

from ...audio import AudioOptions
from ..spelling import Tokenizers


@dataclass(frozen=True)
class ReportOptions:
    """How much of an evaluation its page holds."""

    embed_audio: bool = False
    """Put the audio into the page, as FLAC (about 1.2 MB a minute at 16 kHz), instead of links."""
    detailed: int = 20
    """Utterances with spectrogram and posteriorgram, those with most errors (5 kB a second)."""
    longest_detailed_s: float = 60.0
    """Utterances longer than this have neither."""
    audio: AudioOptions = field(default_factory=AudioOptions)
    """How the recordings were read: what is drawn and embedded is what the models heard."""
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    """To align references with the outputs of models with SentencePiece vocabularies."""
