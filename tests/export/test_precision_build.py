"""Whole builds in reduced precision: converted, judged on speech, recorded, published or not."""

import json
from dataclasses import replace

import onnx
import pytest
from onnx import TensorProto, numpy_helper

import export.assemble
from demo.paths import DEMO
from export.__main__ import main
from export.assemble import Recipe
from export.build import BuildOptions, build
from export.checkpoint import load_checkpoint
from export.config import parse_config
from export.errors import ExportError, GraphError
from export.repository import graph_path, read_contract
from tests.export.support import NAME

CLIPS = DEMO / "clips" / "manifest.jsonl"
SPEECH = {"fp16": {"manifest": CLIPS}, "int8": {}}  # int8 is judged on what it was calibrated with
WEIGHTS = {"fp16": TensorProto.FLOAT16, "int8": TensorProto.INT8}


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(str(DEMO / "demo.nemo"))


def options(repository, precision, accelerator=None):
    calibration = CLIPS if precision == "int8" else None
    return BuildOptions(
        repository,
        Recipe(NAME, precision, accelerator, calibration_manifest=calibration),
        through_triton=False,
        max_case_s=2.5,
        **SPEECH[precision],
    )


def record(repository):
    return json.loads((repository / NAME / "build.json").read_text())


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_build_in_reduced_precision_is_judged_on_speech_and_published(
    checkpoint, precision, tmp_path
):
    result = build(checkpoint, options(tmp_path / "repository", precision))
    assert result.published, result.verification.problems
    written = record(tmp_path / "repository")
    assert written["precision"] == precision
    assert read_contract(tmp_path / "repository", NAME).precision == precision
    assert written["gate"]["recorded_utterances"] == len(CLIPS.read_text().splitlines())
    assert written["gate"]["word_errors"]["words"] > 0
    graph = onnx.load(graph_path(tmp_path / "repository", f"{NAME}_encoder")).graph
    assert WEIGHTS[precision] in {tensor.data_type for tensor in graph.initializer}
    nodes = {node.name for node in graph.node}
    assert set(written["models"][f"{NAME}_encoder"]["kept_in_fp32"]) <= nodes


def test_a_conversion_that_went_wrong_is_not_published(checkpoint, tmp_path, monkeypatch):
    convert = export.assemble.convert_model

    def damaging(graphs, utterances):
        kept = convert(graphs, utterances)
        graph = onnx.load(graphs.encoder)
        for tensor in graph.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT16:
                halved = numpy_helper.to_array(tensor) / 2
                tensor.CopyFrom(numpy_helper.from_array(halved, tensor.name))
        onnx.save(graph, graphs.encoder)
        return kept

    monkeypatch.setattr(export.assemble, "convert_model", damaging)
    result = build(checkpoint, options(tmp_path / "repository", "fp16"))
    assert not result.published
    assert not (tmp_path / "repository").exists()
    assert any("of frames have NeMo's" in problem for problem in result.verification.problems)
    assert any("word errors where NeMo makes" in text for text in result.verification.problems)
    assert result.verification.layer.startswith("encoder")


def test_int8_for_tensorrt_has_no_obstacle_and_its_accelerator_in_the_config(checkpoint, tmp_path):
    assert build(checkpoint, options(tmp_path / "repository", "int8", "tensorrt")).published
    encoder = f"{NAME}_encoder"
    assert record(tmp_path / "repository")["models"][encoder]["tensorrt"]["obstacles"] == []
    config = parse_config((tmp_path / "repository" / encoder / "config.pbtxt").read_text())
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, accelerator.parameters["precision_mode"]) == ("tensorrt", "INT8")


def test_int8_without_speech_to_calibrate_on_is_refused(checkpoint, tmp_path):
    recipe = Recipe(NAME, "int8")
    with pytest.raises(ExportError, match="give a calibration_manifest") as raised:
        build(checkpoint, BuildOptions(tmp_path / "repository", recipe, through_triton=False))
    assert raised.value.options == ("calibration_manifest",)
    assert list(tmp_path.iterdir()) == []


def for_a_cpu(checkpoint, repository, *more):
    return main(
        [
            *("build", "--checkpoint", str(checkpoint), "--name", NAME),
            *("--repository", str(repository), "--without-triton", "--serving", "cpu"),
            *("--calibration-manifest", str(CLIPS), *more),
        ]
    )


def test_for_a_cpu_int8_is_built_where_it_is_as_good(tmp_path, capsys):
    assert for_a_cpu(DEMO / "demo.nemo", tmp_path / "repository") == 0
    assert read_contract(tmp_path / "repository", NAME).precision == "int8"
    printed = capsys.readouterr().out
    assert "judged on calibration speech: --manifest gives an independent figure" in printed
    assert "fp32 is built" not in printed


def test_the_fallback_is_built_where_a_precision_is_not_as_good(quartznet, tmp_path):
    int8 = options(tmp_path / "repository", "int8")
    recipe = replace(int8.recipe, least_agreement=0.0)
    reasons = []
    given = replace(int8, recipe=recipe, fallback="fp32", force=True)
    built = build(quartznet, given, on_rejected=reasons.append)
    assert [(reason.precision, reason.passed) for reason in reasons] == [("int8", False)]
    assert built.verification.precision == built.contract.precision == "fp32"
    assert record(tmp_path / "repository")["gate"]["forced"] is False


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["gate", "force"])
def test_for_a_cpu_fp32_is_built_where_int8_is_not_as_good(force, nemo_file, tmp_path, capsys):
    status = for_a_cpu(nemo_file, tmp_path / "repository", *force)
    assert "fp32 is built" in capsys.readouterr().out
    assert status == 0
    assert read_contract(tmp_path / "repository", NAME).precision == "fp32"


def test_the_fallback_is_built_where_a_precision_cannot_be(checkpoint, tmp_path, monkeypatch):
    def unreachable(*_):
        raise GraphError("no layer agrees")

    monkeypatch.setattr(export.assemble, "quantise_encoder", unreachable)
    int8 = options(tmp_path / "repository", "int8")
    with pytest.raises(GraphError, match="no layer agrees"):
        build(checkpoint, int8)
    reasons = []
    built = build(checkpoint, replace(int8, fallback="fp32"), on_rejected=reasons.append)
    assert list(map(type, reasons)) == [GraphError]
    assert (built.published, built.contract.precision) == (True, "fp32")
    assert read_contract(tmp_path / "repository", NAME).precision == "fp32"
    assert record(tmp_path / "repository")["manifests"] == {}
