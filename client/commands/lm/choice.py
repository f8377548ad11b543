"""``lm train|convert|info``: which of them to run."""

from collections.abc import Sequence

from ..parser import Program

_LM = Program(
    "nemo-ctc lm",
    "Language models for beam search, with KenLM.",
    __package__,
    {
        "train": "train a model on text, in an acoustic model's characters",
        "convert": "build a KenLM binary from an ARPA file, and change the case of its words",
        "info": "describe a model, measure it on a text, and warn of problems",
    },
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    return _LM.run(arguments)
