"""A build that is not as good as its checkpoint is not published, and its record says why."""

import dataclasses
import json

import numpy as np
import pytest

import export.assemble
import export.graph
from export.__main__ import main
from export.assemble import Recipe
from export.build import build
from export.checkpoint import Checkpoint
from export.configure import reconfigure
from export.errors import ExportError, ParityError, RepositoryError
from export.modules.convolutional import TraceableMaskedConv1d
from export.modules.preprocessor import Preprocessor
from export.record import file_hashes
from export.repository import graph_path, read_contract
from export.serving import DEFAULT_SERVING
from export.verification.cases import generated_cases
from export.verification.onnx_pipeline import OnnxPipeline
from tests.export import models
from tests.export.support import NAME, contents, noise, quick_build
from tests.export.test_mutations import (
    with_a_frame_too_few,
    with_a_periodic_window,
    without_masks,
)


def record(repository):
    return json.loads((repository / NAME / "build.json").read_text())


def test_a_faithful_build_is_published_with_a_record_of_what_it_is(quartznet, tmp_path):
    result = build(quartznet, quick_build(tmp_path / "repository"))
    assert result.published
    assert result.verification.passed
    written = record(tmp_path / "repository")
    assert written["checkpoint_sha256"] == quartznet.sha256
    assert written["precision"] == "fp32"
    assert written["gate"]["passed"]
    assert not written["gate"]["forced"]
    assert written["gate"]["problems"] == []
    assert written["gate"]["largest"]["log_probs"] <= written["gate"]["allowed"]["log_probs"]
    assert {"torch", "onnx", "onnxruntime", "nemo_toolkit"} <= set(written["tools"])
    for name, model in written["models"].items():
        folder = graph_path(tmp_path / "repository", name).parent
        assert model["files"] == file_hashes(folder)
        assert name == f"{NAME}_{model['role']}"


@pytest.mark.parametrize(
    ("mutate", "part", "stage"),
    [
        (without_masks, "encoder", "batch: max-abs"),
        (with_a_periodic_window, "preprocessor", "features: max-abs"),
        (with_a_frame_too_few, "preprocessor", "features: max-abs inf"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_export_is_not_published(mutate, part, stage, quartznet, tmp_path, monkeypatch):
    mutate(monkeypatch)
    result = build(quartznet, quick_build(tmp_path / "repository"))
    assert not result.published
    assert not (tmp_path / "repository").exists()
    assert result.verification.layer.startswith(part)
    assert any(stage in problem for row in result.verification.rows for problem in row.problems)


def test_weights_too_many_for_one_file_lie_beside_the_graph(quartznet, tmp_path, monkeypatch):
    build(quartznet, quick_build(tmp_path / "one"))
    monkeypatch.setattr(export.graph, "MAX_GRAPH_BYTES", 1000)
    assert build(quartznet, quick_build(tmp_path / "two")).published
    encoder = graph_path(tmp_path / "two", f"{NAME}_encoder")
    weights = encoder.with_name("model.onnx.data")
    assert [path.name for path in sorted(encoder.parent.iterdir())] == [encoder.name, weights.name]
    assert weights.stat().st_mode == encoder.stat().st_mode
    assert encoder.stat().st_size < graph_path(tmp_path / "one", f"{NAME}_encoder").stat().st_size
    files = record(tmp_path / "two")["models"][f"{NAME}_encoder"]["files"]
    assert set(files) == {encoder.name, weights.name}
    one, two = (
        OnnxPipeline(
            tmp_path / name, NAME, quartznet.pipeline, read_contract(tmp_path / name, NAME)
        ).run([noise(16000)])[0]
        for name in ("one", "two")
    )
    np.testing.assert_array_equal(one.log_probs, two.log_probs)


def test_a_wrong_export_leaves_the_model_that_was_there(quartznet, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    build(quartznet, quick_build(repository))
    before = contents(repository)
    without_masks(monkeypatch)
    assert not build(quartznet, quick_build(repository)).published
    assert contents(repository) == before


def test_a_permuted_vocabulary_is_not_published(quartznet, tmp_path, monkeypatch):
    write_configs = export.assemble.write_configs

    def permuted(folder, layout):
        first, *others = layout.contract.vocabulary
        contract = dataclasses.replace(layout.contract, vocabulary=(*others, first))
        write_configs(folder, dataclasses.replace(layout, contract=contract))

    monkeypatch.setattr(export.assemble, "write_configs", permuted)
    with pytest.raises(ParityError, match="has vocabulary") as raised:
        build(quartznet, quick_build(tmp_path / "repository"))
    (problem,) = raised.value.problems
    assert problem.startswith(f"the contract of {NAME} has vocabulary")
    assert list(tmp_path.iterdir()) == []


def test_force_publishes_a_wrong_export_and_records_its_failure(quartznet, tmp_path, monkeypatch):
    with_a_periodic_window(monkeypatch)
    result = build(quartznet, quick_build(tmp_path / "repository", force=True))
    assert result.published
    gate = record(tmp_path / "repository")["gate"]
    assert (gate["passed"], gate["forced"]) == (False, True)
    assert any("features: max-abs" in problem for problem in gate["problems"])


@pytest.mark.parametrize("family", ["quartznet", "conformer"])
def test_the_layer_that_went_wrong_is_named(family, tmp_path, monkeypatch):
    checkpoint = models.small(family)
    traceable = checkpoint.family.traceable

    def with_a_damaged_layer(encoder, max_frames):
        module = traceable(encoder, max_frames)
        layers = module.encoder if family == "quartznet" else module.encoder.layers
        for parameter in layers[1].parameters():
            parameter.data.mul_(1.1)
        return module

    damaged = dataclasses.replace(checkpoint.family, traceable=with_a_damaged_layer)
    monkeypatch.setattr(type(checkpoint), "family", property(lambda _: damaged))
    result = build(checkpoint, quick_build(tmp_path / "repository"))
    expected = {"quartznet": "encoder, encoder.1", "conformer": "encoder, layers.1"}
    assert result.verification.layer == expected[family]
    assert any("log_probs" in problem for problem in result.verification.rows[0].problems)


def test_a_layer_that_leaks_between_utterances_is_named(quartznet, tmp_path, monkeypatch):
    forward = TraceableMaskedConv1d.forward

    def unmasked_where_dilated(self, x, lens):
        if self.conv.dilation[0] > 1:
            return self.conv(x), self.get_seq_len(lens)
        return forward(self, x, lens)

    monkeypatch.setattr(TraceableMaskedConv1d, "forward", unmasked_where_dilated)
    result = build(quartznet, quick_build(tmp_path / "repository"))
    assert not result.published
    assert result.verification.layer == "encoder, encoder.2"


def test_silence_or_noise_that_is_not_finite_is_found(quartznet, tmp_path, monkeypatch):
    log = Preprocessor._log
    monkeypatch.setattr(
        Preprocessor, "_log", lambda self, features: log(self, features - self.guard)
    )
    result = build(quartznet, quick_build(tmp_path / "repository"))
    assert not result.published
    silent = next(row for row in result.verification.rows if row.case.name == "digital silence")
    assert any("max-abs inf" in problem for problem in silent.problems)


def test_digital_silence_is_compared_with_nemo_in_float64(quartznet, tmp_path):
    result = build(quartznet, quick_build(tmp_path / "repository"))
    (silent,) = (row for row in result.verification.rows if not row.case.audio.any())
    assert silent.nemo_rounding > 1e-3 >= silent.log_probs
    in_float64 = sum(row.nemo_rounding is not None for row in result.verification.rows)
    assert 0 < in_float64 < len(result.verification.rows) / 2
    assert record(tmp_path / "repository")["gate"]["compared_in_float64"] == in_float64


def test_more_utterances_than_are_held_at_once_are_all_verified_in_order(
    quartznet, tmp_path, monkeypatch
):
    monkeypatch.setattr("export.verification.verify.CASES_AT_ONCE", 5)
    result = build(quartznet, quick_build(tmp_path / "repository"))
    assert result.published
    expected = [case.name for case in generated_cases(result.contract, 2.5)]
    assert [row.case.name for row in result.verification.rows] == expected
    assert len(expected) > 2 * 5


def test_a_build_runs_alone_what_would_make_batches_long(quartznet, tmp_path, monkeypatch):
    monkeypatch.setattr("export.build.BATCHED_IN_BUILD_S", 1.0)
    rows = build(quartznet, quick_build(tmp_path / "repository")).verification.rows
    alone = [row for row in rows if row.case.alone]
    assert {row.case.name for row in alone} >= {"2.37 s", "padded", "gated"}
    assert all(row.batch == 0.0 for row in alone)
    assert any(row.batch > 0.0 for row in rows)
    assert max(len(row.case.audio) for row in rows if not row.case.alone) == 16000


def test_int8_is_not_verified_on_made_up_utterances_alone(quartznet, tmp_path, monkeypatch):
    contract_for = Checkpoint.contract_for
    monkeypatch.setattr(
        Checkpoint,
        "contract_for",
        lambda *rest: dataclasses.replace(contract_for(*rest), precision="int8"),
    )
    with pytest.raises(ExportError, match="judged on recorded speech") as raised:
        build(quartznet, quick_build(tmp_path / "repository"))
    assert raised.value.options == ("manifest",)


@pytest.mark.parametrize("model", [f"{NAME}_encoder", f"{NAME}_preprocessor_upto_2s"])
def test_a_flipped_byte_is_found_before_anything_is_compared_or_served(
    model, quartznet, nemo_file, tmp_path, capsys
):
    repository = tmp_path / "repository"
    recipe = Recipe(NAME, serving=dataclasses.replace(DEFAULT_SERVING, ranges_s=(2.0,)))
    build(quartznet, dataclasses.replace(quick_build(repository), recipe=recipe))
    graph = graph_path(repository, model)
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.unlink()  # it may be a link to the other preprocessor's
    graph.write_bytes(data)
    command = ["verify", "--checkpoint", str(nemo_file), "--name", NAME, "--repository"]
    assert main([*command, str(repository)]) == 1
    assert f"{graph} is not the file that was exported" in capsys.readouterr().err
    with pytest.raises(RepositoryError, match="is not the file that was exported") as raised:
        reconfigure(repository, NAME, DEFAULT_SERVING)
    assert raised.value.path == graph
