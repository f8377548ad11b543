"""Prints what a checkpoint holds and how it would be exported."""

import sys

from rich.console import Console
from rich.table import Table
from torch import nn

from export.checkpoint import Checkpoint, objections, refuse

WIDTH_OF_FILES = 120


def print_inspection(checkpoint: Checkpoint) -> None:
    """Print the modules with their sizes, the tensors between them, and the vocabulary.

    Raises ``CheckpointError`` with every objection that a build would raise, after the name
    and whatever was left out of the saved configuration.
    """
    width = None if sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(width=width, markup=False, emoji=False)
    console.print(f"{checkpoint.name}: {type(checkpoint.model).__name__}", highlight=False)
    console.print(f"SHA-256 {checkpoint.sha256}", highlight=False)
    for note in checkpoint.notes:
        console.print(note, highlight=False, markup=False)
    refuse(checkpoint.name, objections(checkpoint))
    contract = checkpoint.contract
    table = Table()
    for heading in ("part", "NeMo module", "parameters", "gives"):
        table.add_column(heading, justify="right" if heading == "parameters" else "left")
    modules = (checkpoint.model.preprocessor, checkpoint.model.encoder, checkpoint.head)
    for model, module in zip(checkpoint.pipeline.models, modules, strict=True):
        tensors = (f"{tensor.name} {list(tensor.axes)}" for tensor in model.outputs)
        table.add_row(
            model.role, type(module).__name__, f"{_parameters(module):,}", "\n".join(tensors)
        )
    console.print(table)
    console.print(
        f"{contract.sample_rate_hz} Hz, a feature frame each {1000 * contract.feature_stride_s:g}"
        f" ms, an output frame each {1000 * contract.frame_stride_s:g} ms; utterances of"
        f" {contract.min_samples / contract.sample_rate_hz:g} to"
        f" {contract.max_samples / contract.sample_rate_hz:g} s",
        highlight=False,
    )
    console.print(
        f"{len(contract.vocabulary)} {contract.vocabulary_kind} units, then blank:"
        f" {' '.join(map(repr, contract.vocabulary))}",
        highlight=False,
    )


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
