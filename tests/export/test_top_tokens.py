"""The best tokens of each frame: exactly those of ``log_probs``, the blank among them."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from client.wire.contract import LOG_PROBS, LOG_PROBS_LENGTH, TOKENS, TOP_LOG_PROBS, TOP_TOKENS
from export.build import build
from export.configure import reconfigure
from export.engine.operators import obstacles
from export.graph import export_graph
from export.modules.decoder import Decoder
from export.precision.feeds import Graphs
from export.precision.fp16 import convert_model
from export.repository import graph_path, read_config, read_contract
from export.serving import cpu
from export.session import open_session
from export.tensors import TOP_K, Pipeline, top_k_of
from export.verification.cases import generated_cases
from export.verification.onnx_pipeline import OnnxPipeline
from export.verification.outputs import wrong_top
from export.verification.verify import Candidate, verify
from tests.export import models
from tests.export.support import NAME, export, noise, problems, quick_build

FRAMES, CHANNELS = 7, 4
DECODER = (LOG_PROBS, TOKENS, TOP_TOKENS, TOP_LOG_PROBS, LOG_PROBS_LENGTH)


def expected(log_probs, k):
    """Best first, the lower index first of equals; the blank last where it is not among them."""
    blank = log_probs.shape[-1] - 1
    tokens = np.argsort(-log_probs, axis=-1, kind="stable")[..., :k]
    tokens[~(tokens == blank).any(axis=-1), -1] = blank
    return tokens, np.take_along_axis(log_probs, tokens, axis=-1)


class Graph:
    """A decoder graph that scores frames as its bias says, whatever the encoder sends."""

    def __init__(self, folder, bias, top_k):
        bias = np.asarray(bias, np.float32)
        convolution = torch.nn.Conv1d(CHANNELS, len(bias), 1)
        convolution.bias.data = torch.from_numpy(bias)
        convolution.weight.data *= 0.0
        head = SimpleNamespace(
            decoder_layers=[convolution],
            temperature=1.0,
            num_classes_with_blank=len(bias),
            get_enabled_adapters=list,
        )
        declared = Pipeline.of(80, CHANNELS, len(bias), top_k).decoder
        example = (torch.zeros(2, CHANNELS, 9), torch.tensor([[4], [9]]))
        self.path = folder / "model.onnx"
        export_graph(Decoder(head, top_k), declared, example, self.path)
        self.session = open_session(self.path)

    def run(self):
        """One utterance's outputs, by name."""
        feed = {
            "encoded": np.zeros((1, CHANNELS, FRAMES), np.float32),
            "encoded_length": np.array([[FRAMES]], np.int64),
        }
        return dict(zip(DECODER, self.session.run(DECODER, feed), strict=True))


@pytest.fixture(scope="module")
def subwords(tmp_path_factory):
    return export(models.small("citrinet"), tmp_path_factory.mktemp("subwords") / "repository")


def test_no_model_returns_best_tokens_that_are_larger_than_its_log_probs():
    assert [top_k_of(size) for size in (2, 29, 32, 33, 1025)] == [None, None, None, TOP_K, TOP_K]


def test_the_export_of_few_tokens_has_none(quartznet, tmp_path):
    exported = export(quartznet, tmp_path / "repository")
    assert exported.contract.top_k is None
    assert exported.graphs.run([noise(16000)])[0].top is None


def test_the_contract_tells_how_many_there_are(subwords):
    assert subwords.contract.top_k == TOP_K
    (dims,) = [
        list(output.dims)
        for output in read_config(subwords.repository, NAME).output
        if output.name == TOP_TOKENS
    ]
    assert dims == [-1, TOP_K]


def test_they_are_the_best_of_log_probs_alone_and_in_batches(subwords):
    utterances = [noise(length) for length in (4000, 16000, 33000, 16001)]
    batch = subwords.graphs.run(utterances)
    for audio, beside in zip(utterances, batch, strict=True):
        for outputs in (subwords.graphs.run([audio])[0], beside):
            tokens, values = expected(outputs.log_probs, TOP_K)
            np.testing.assert_array_equal(outputs.top["token"], tokens)
            np.testing.assert_array_equal(outputs.top["log_prob"], values)
            assert wrong_top(outputs) == 0


def test_an_unlikely_blank_takes_the_last_place(tmp_path):
    bias = np.linspace(0, 6, 40)[::-1].copy()
    bias[7], bias[-1] = 6.5, -9.0
    outputs = Graph(tmp_path, bias, 16).run()
    assert outputs[TOP_TOKENS][0, 0].tolist() == [7, *range(7), *range(8, 15), 39]
    best = outputs[LOG_PROBS][..., outputs[TOP_TOKENS][0, 0]]
    np.testing.assert_array_equal(outputs[TOP_LOG_PROBS], best)
    np.testing.assert_array_equal(outputs[TOKENS], outputs[TOP_TOKENS][..., 0])


@pytest.mark.parametrize("likely", [40, 20, 16, 15, 1])
def test_of_equal_tokens_the_first_ones_are_the_best(tmp_path, likely):
    """Where the blank is among the equal ones, it is the last of them."""
    bias = np.full(40, -3.0)
    bias[40 - likely :] = 1.0
    outputs = Graph(tmp_path, bias, 16).run()
    tokens, values = expected(outputs[LOG_PROBS], 16)
    np.testing.assert_array_equal(outputs[TOP_TOKENS], tokens)
    np.testing.assert_array_equal(outputs[TOP_LOG_PROBS], values)
    assert (outputs[TOP_TOKENS] == 39).sum(axis=-1).tolist() == [[1] * FRAMES]


def test_in_fp16_they_are_still_exactly_log_probs(subwords, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(subwords.repository, folder)
    graphs = Graphs.of(folder, NAME, subwords.checkpoint.pipeline)
    kept = convert_model(graphs, [noise(16000), noise(9000)])
    assert any("TopK" in name for name in kept["decoder"])
    converted = OnnxPipeline(folder, NAME, subwords.checkpoint.pipeline, subwords.contract)
    (outputs,) = converted.run([noise(20000)])
    assert wrong_top(outputs) == 0


def test_tensorrt_runs_the_graph_that_chooses_them(subwords):
    graph = onnx.load(graph_path(subwords.repository, f"{NAME}_decoder"))
    assert "TopK" in {node.op_type for node in graph.graph.node}
    assert obstacles(graph) == []


def swapped(top, _log_probs):
    top[3, [0, 1]] = top[3, [1, 0]]


def doubled(top, _log_probs):
    top[3, 1] = top[3, 0]


def without_the_blank(top, log_probs):
    top["token"][3][top["token"][3] == log_probs.shape[1] - 1] = 0


def rounded(top, _log_probs):
    top["log_prob"][3, 4] = np.nextafter(top["log_prob"][3, 4], np.float32(0))


def outside(top, _log_probs):
    top["token"][3, 4] = top["token"].max() + 1


@pytest.mark.parametrize("change", [swapped, doubled, without_the_blank, rounded, outside])
def test_verification_finds_every_wrong_one(subwords, change):
    (outputs,) = subwords.graphs.run([noise(16000)])
    top = outputs.top.copy()
    change(top, outputs.log_probs)
    assert wrong_top(dataclasses.replace(outputs, top=top)) >= 1


def test_verification_names_wrong_best_tokens(subwords, tmp_path, monkeypatch):
    def worst(_, log_probs, k):
        values, tokens = log_probs.topk(k, largest=False)
        return tokens.to(torch.int32), values

    monkeypatch.setattr(Decoder, "_top", worst)
    wrong = export(subwords.checkpoint, tmp_path / "repository")
    found = problems(wrong.checkpoint, wrong.graphs, generated_cases(wrong.contract, 1.0)[:3])
    assert any("top_tokens of" in problem for problem in found)


def test_a_model_from_before_them_is_verified_and_served_as_it_is(subwords, tmp_path, monkeypatch):
    """As earlier versions of the project exported it."""
    monkeypatch.setattr("export.checkpoint.top_k_of", lambda _: None)
    repository = tmp_path / "repository"
    old = models.small("citrinet")
    assert build(old, quick_build(repository)).published
    monkeypatch.undo()
    checkpoint = subwords.checkpoint
    assert checkpoint.top_k == TOP_K
    cases = generated_cases(read_contract(repository, NAME), 1.0)[:4]
    assert verify(checkpoint, Candidate(repository, NAME), cases).passed
    assert reconfigure(repository, NAME, cpu(1)).top_k is None
    names = {output.name for output in read_config(repository, f"{NAME}_decoder").output}
    assert names == {TOKENS, LOG_PROBS, LOG_PROBS_LENGTH}
