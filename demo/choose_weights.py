"""Choose the language model's weights on AN4's ``dev`` list: ``python -m demo.choose_weights``.

Runs the acoustic model once through Triton, decodes with a grid of weights, writes the best to
``demo/beam.json`` and prints the grid.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from client import BeamOptions, load_audio
from client.contract import LOG_PROBS, Contract
from client.decoding import BeamDecoder
from client.manifest import Entry, read_manifest
from client.metrics import ErrorCounts, word_errors
from client.transport import TritonTransport
from demo.paths import DEMO, SPEECH_DATA
from server import EmbeddedServer, ServerOptions, free_ports

ALPHAS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)
BETAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
BEAM_WIDTH = 100
DEV = SPEECH_DATA / "an4" / "dev_manifest.json"


def main() -> None:
    """Search the grid; ties go to the smaller weights."""
    parser = argparse.ArgumentParser(prog="python -m demo.choose_weights", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    if not DEV.exists():
        sys.exit(f"no speech data at {SPEECH_DATA}: set SPEECH_DATA to the folder with an4/")
    entries = list(read_manifest(DEV))
    with EmbeddedServer(ServerOptions(options.repository, **free_ports())) as server:
        contract, log_probs = _log_probs(server.grpc_url, entries)
    references = [str(entry.fields["text"]) for entry in entries]
    grid = list(itertools.product(ALPHAS, BETAS))
    counts = {
        weights: _decode(contract, log_probs, references, *weights)
        for weights in track(grid, "decoding dev", console=Console(stderr=True))
    }
    alpha, beta = min(grid, key=lambda weights: (counts[weights].errors, weights))
    preset = {"alpha": alpha, "beta": beta, "beam_width": BEAM_WIDTH}
    (DEMO / "beam.json").write_text(json.dumps(preset) + "\n")
    _print(counts)
    sys.stdout.write(f"alpha {alpha}, beta {beta}: WER {counts[alpha, beta].rate:.2%} on dev\n")


def _log_probs(url: str, entries: list[Entry]) -> tuple[Contract, list[NDArray[Any]]]:
    transport = TritonTransport(url, "demo")
    rate_hz = transport.contract.sample_rate_hz
    futures = []
    for entry in entries:
        if isinstance(entry.item, Exception):
            raise entry.item
        futures.append(transport.submit(load_audio(entry.item, rate_hz), LOG_PROBS))
    log_probs = [future.result() for future in futures]
    transport.close()
    return transport.contract, log_probs


def _decode(
    contract: Contract,
    log_probs: list[NDArray[Any]],
    references: list[str],
    alpha: float,
    beta: float,
) -> ErrorCounts:
    options = BeamOptions(DEMO / "lm.arpa.gz", alpha, beta, BEAM_WIDTH)
    decoder = BeamDecoder(contract, options)
    texts = [decoder.decode(utterance).text for utterance in log_probs]
    decoder.close()
    return word_errors(references, texts)


def _print(counts: dict[tuple[float, float], ErrorCounts]) -> None:
    table = Table(title="Word errors on AN4's dev list")
    table.add_column("alpha \\ beta")
    for beta in BETAS:
        table.add_column(str(beta), justify="right")
    for alpha in ALPHAS:
        table.add_row(str(alpha), *(str(counts[alpha, beta].errors) for beta in BETAS))
    Console().print(table)


if __name__ == "__main__":
    main()
