"""``models``: the models of each server that carry a contract, and what it says."""

import argparse
import sys
from collections.abc import Iterable, Sequence

from rich.table import Table

from ..errors import AsrError
from ..wire.models import ServedModel, list_models
from .server import add_server, connection_options, urls_of
from .streams import messages, tables


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when a server or a model is not ready, or a contract not readable."""
    parser = argparse.ArgumentParser(prog="nemo-ctc models", description=__doc__)
    add_server(parser)
    args = parser.parse_args(arguments)
    options = connection_options(args)
    urls = urls_of(args)
    console = tables(sys.stdout)
    failed = False
    for url in urls:
        try:
            models = list_models(url, options, wait_s=args.wait)
        except AsrError as error:
            messages.print(f"error: {error}")
            failed = True
            continue
        console.print(_table(models, url if len(urls) > 1 else None))
        failed = failed or any(model.problem for model in models)
    return 1 if failed else 0


def _table(models: Iterable[ServedModel], title: str | None) -> Table:
    headings = ("model", "ready", "rate", "vocabulary", "stride", "longest", "precision")
    table = Table(*headings, "checkpoint", title=title)
    for model in models:
        table.add_row(model.name, "yes" if model.ready else "no", *_facts(model))
    return table


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
