"""``models``: the models of a server that carry a contract, and what it says."""

import argparse
import sys
from collections.abc import Sequence

from rich.table import Table

from client.commands.arguments import add_url
from client.commands.streams import tables
from client.transport import ServedModel, list_models


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when a model is not ready or its contract not readable."""
    parser = argparse.ArgumentParser(prog="python -m client models", description=__doc__)
    add_url(parser)
    models = list_models(parser.parse_args(arguments).url)
    table = Table(
        "model", "ready", "rate", "vocabulary", "stride", "longest", "precision", "checkpoint"
    )
    for model in models:
        table.add_row(model.name, "yes" if model.ready else "no", *_facts(model))
    tables(sys.stdout).print(table)
    return 1 if any(model.problem for model in models) else 0


def _facts(model: ServedModel) -> tuple[str, ...]:
    contract = model.contract
    if contract is None:
        return ("", "", "", "", "", model.problem)
    return (
        f"{contract.sample_rate_hz} Hz",
        f"{len(contract.vocabulary)} {contract.vocabulary_kind}",
        f"{contract.frame_stride_s * 1000:g} ms",
        f"{contract.max_samples / contract.sample_rate_hz:.0f} s",
        contract.precision,
        contract.checkpoint,
    )
