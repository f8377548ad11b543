"""``lm``: train, convert and inspect language models."""

from ..parser import Program

main = Program(
    "nemo-ctc lm",
    "Language models for beam search, with KenLM.",
    __package__,
    {
        "train": "train a model on text, in an acoustic model's characters",
        "convert": "build a KenLM binary from an ARPA file, and change the case of its words",
        "info": "describe a model, measure it on a text, and warn of problems",
    },
).run
