"""``lm train|convert|info``: which of them to run."""

from collections.abc import Sequence

from ..dispatch import Program

_LM = Program(
    "nemo-ctc lm",
    "Language models for beam search, with KenLM.",
    __package__,
    {
        "train": "train a model on text, in the characters of an acoustic model",
        "convert": "build a KenLM binary from an ARPA file, in another case if need be",
        "info": "say what a model is, how it fits a text, and what speaks against it",
    },
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    return _LM.run(arguments)
