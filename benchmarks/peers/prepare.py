"""``python -m benchmarks.peers.prepare``: a checkpoint in the form of every peer.

Flow: ``.nemo`` and our exported model → NeMo's own graph, and our encoder and decoder as one graph
→ a folder for each peer and graph, with vocabulary and metadata. What a peer cannot run is left out
and the reason recorded. Runs in the environment that has NeMo.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from benchmarks.peers.formats import (
    export_by_nemo,
    features_refused,
    join,
    set_metadata,
    sherpa_metadata,
    write_onnx_asr,
    write_tokens,
)
from benchmarks.peers.layout import (
    DEFAULT_FOLDER,
    GRAPH_FILE,
    GRAPHS,
    LENGTH,
    ONNX_ASR,
    SHERPA_ONNX,
    TOKENS_FILE,
    Prepared,
    form,
    write_prepared,
)
from benchmarks.pipeline import graph_path
from client.commands.parser import CommandParser
from export.errors import ExportError
from export.process import quiet_nemo

if TYPE_CHECKING:
    from export.checkpoint import Checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Prepare one checkpoint; 0, or 1 with an error."""
    parser = CommandParser("python -m benchmarks.peers.prepare", __doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE.nemo")
    parser.add_argument("--name", required=True, help="our exported model's, and the folder's")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR")
    parser.add_argument(
        "--repository", type=Path, metavar="DIR", help="of our model (repository/ in the folder)"
    )
    parsed = parser.parse_args(arguments)
    repository = parsed.repository or parsed.folder / "repository"
    quiet_nemo()
    from export.checkpoint import load_checkpoint  # noqa: PLC0415  # help must not wait for NeMo

    try:
        checkpoint = load_checkpoint(str(parsed.checkpoint.resolve(strict=True)))
        ours = _our_graphs(repository, parsed.name)
        prepared = prepare(checkpoint, parsed.checkpoint, ours, parsed.folder / parsed.name)
    except (ExportError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for name, reason in prepared.refused.items():
        sys.stderr.write(f"left out: {name}: {reason}\n")
    return 0


def prepare(
    checkpoint: "Checkpoint", source: Path, ours: Mapping[str, Path], folder: Path
) -> Prepared:
    """Fill ``folder`` anew; ``ours`` are our exported graphs by role.

    Leaves ``checkpoint`` as NeMo's exporter does, unfit for anything else.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for graph in GRAPHS:
        (folder / graph).mkdir(parents=True)
    models = {
        "ours": join(ours["encoder"], ours["decoder"]),
        "nemo": export_by_nemo(checkpoint.model, folder / "nemo" / GRAPH_FILE),
    }
    vocabulary = checkpoint.vocabulary
    model_class = type(checkpoint.model).__name__
    for graph, model in models.items():
        set_metadata(model, sherpa_metadata(len(vocabulary), checkpoint.subsampling, model_class))
        onnx.save(model, folder / graph / GRAPH_FILE)
    settings = checkpoint.model.cfg.preprocessor
    features = int(settings["features"])
    refused = {
        form(peer, graph): reason
        for peer, reason in features_refused(settings).items()
        for graph in GRAPHS
    }
    if LENGTH not in (value.name for value in models["nemo"].graph.input):
        reason = (
            f"NeMo's exporter dropped the masks and the input {LENGTH!r}, which it gives; run with"
            " our graph instead"
        )
        refused |= {form(peer, "nemo"): reason for peer in (ONNX_ASR, SHERPA_ONNX)}
    for graph, peer in product(GRAPHS, (ONNX_ASR, SHERPA_ONNX)):
        if (target := folder / form(peer, graph)).name in refused:
            continue
        target.mkdir()
        os.link(folder / graph / GRAPH_FILE, target / GRAPH_FILE)
        if peer == ONNX_ASR:
            write_onnx_asr(target, vocabulary, features, checkpoint.subsampling)
        else:
            write_tokens(target / TOKENS_FILE, vocabulary)
    prepared = Prepared(
        folder.name,
        str(source.resolve()),
        checkpoint.sha256,
        features,
        checkpoint.subsampling,
        refused,
    )
    write_prepared(folder, prepared)
    return prepared


def _our_graphs(repository: Path, name: str) -> dict[str, Path]:
    paths = {role: graph_path(repository, name, role) for role in ("encoder", "decoder")}
    for path in paths.values():
        if not path.is_file():
            raise ExportError(
                f"no graph at {path}: build it first, python -m export build --checkpoint …"
                f" --name {name} --repository {repository}"
            )
    return paths


if __name__ == "__main__":
    sys.exit(main())
