"""A checkpoint in the form of every peer: what NeMo's exporter keeps, and what peers are given."""

import onnx
import pytest

from benchmarks.peers.layout import GRAPH_FILE, ONNX_ASR, SHERPA_ONNX, form, read_prepared
from benchmarks.peers.prepare import main, prepare
from benchmarks.pipeline import graph_path
from export.verification.random_models import SMALL, random_checkpoint
from tests.export.support import NAME, export

PEERS = (ONNX_ASR, SHERPA_ONNX)


@pytest.fixture(scope="module", params=["quartznet", "fastconformer"])
def prepared(request, tmp_path_factory):
    """The family, what was recorded, and the folder."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = random_checkpoint(SMALL[request.param])
    export(checkpoint, folder / "repository")
    ours = {role: graph_path(folder / "repository", NAME, role) for role in ("encoder", "decoder")}
    source = folder / "small.nemo"
    return request.param, prepare(checkpoint, source, ours, folder / NAME), folder / NAME


def test_peers_get_nemos_graph_where_it_takes_lengths_and_ours_always(prepared):
    family, record, folder = prepared
    assert read_prepared(folder) == record
    masked = family == "fastconformer"  # NeMo's exporter drops a convolutional encoder's masks
    assert set(record.refused) == (set() if masked else {form(peer, "nemo") for peer in PEERS})
    for peer in PEERS:
        assert (folder / form(peer, "nemo")).exists() == masked
        model = onnx.load(folder / form(peer, "ours") / GRAPH_FILE)
        assert {value.name for value in model.graph.input} == {"audio_signal", "length"}
        assert [value.name for value in model.graph.output] == ["logprobs"]
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert metadata["subsampling_factor"] == str(record.subsampling)


def test_a_checkpoint_that_is_not_there_and_a_model_that_was_not_exported_are_errors(
    nemo_file, tmp_path, capsys
):
    arguments = ["--name", "none", "--folder", str(tmp_path)]
    assert main([*arguments, "--checkpoint", str(tmp_path / "none.nemo")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main([*arguments, "--checkpoint", str(nemo_file)]) == 1
    assert "build it first" in capsys.readouterr().err
