"""What decoding makes of one utterance."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Transcript:
    """The text of one utterance, as the acoustic model writes it (case, punctuation)."""

    text: str
