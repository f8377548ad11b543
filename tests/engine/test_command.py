"""The engine command: what it builds, what it then serves, and what it leaves when it fails."""

import argparse
import ctypes
import errno
import json
import signal
import sys

import pytest

from export.engine import command, device
from export.engine.plan import PlanMetadata
from export.engine.profiles import Profile
from export.engine.switch import TENSORRT
from export.errors import EngineError, RepositoryError
from tests.engine.conftest import GPU
from tests.engine.support import (
    DECODER,
    ENCODER,
    GRAPH,
    NAME,
    PREPROCESSOR,
    PROFILES,
    backends,
    contents,
    write_repository,
)

SERVED_BY_PLANS = {PREPROCESSOR: "onnxruntime", ENCODER: "tensorrt", DECODER: "tensorrt"}
SERVED_BY_GRAPHS = dict.fromkeys(SERVED_BY_PLANS, "onnxruntime")


def engine(repository, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = ["--repository", str(repository), "--name", NAME, *arguments]
    command.run(parser.parse_args(given))


def metadata(repository, model):
    return PlanMetadata.read(repository / model / "1" / "plan.json")


def test_graphs_without_obstacles_become_plans_and_are_served(repository, tensorrt, capsys):
    engine(repository)
    assert backends(repository) == SERVED_BY_PLANS
    assert not (repository / PREPROCESSOR / "1" / "model.plan").exists()
    for model in (ENCODER, DECODER):
        known = metadata(repository, model)
        assert json.loads((repository / model / "1" / "model.plan").read_bytes())["finite"]
        assert (known.tensorrt, known.gpu) == (tensorrt.__version__, GPU)
        assert (known.compute_capability, known.precision) == ("9.0", "fp16")
        assert known.profiles == PROFILES
        assert known.islands == ()
    assert "stays on ONNX Runtime: input audio_signal is INT16" in capsys.readouterr().err
    assert ctypes.CDLL(device.LIBRARY).liveBuffers() == 0


def test_only_tensorrt_10_is_told_that_networks_are_strongly_typed(repository, tensorrt):
    engine(repository)
    strongly_typed = 1 << tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    expected = strongly_typed if tensorrt.__version__.startswith("10.") else 0
    assert tensorrt.Builder.networks == [expected] * 2


def test_options_reach_the_builder(repository, tensorrt):
    engine(repository, "--workspace", "0.5", "--optimization-level", "5")
    config = tensorrt.Builder.configs[0]
    shapes = {name: (item.min, item.opt, item.max) for name, item in PROFILES.items()}
    assert ("WORKSPACE", 1 << 29) in config._calls
    assert ("profile", shapes) in config._calls
    assert ("clear", "TF32") in config._calls
    assert config.builder_optimization_level == 5
    engine(repository, "--tf32")
    assert ("clear", "TF32") not in tensorrt.Builder.configs[-1]._calls


@pytest.mark.usefixtures("tensorrt")
def test_timings_are_kept_for_the_next_run_and_dropped_on_another_gpu(repository):
    cache = repository / ".tensorrt-timing-cache"
    engine(repository)
    assert cache.read_bytes() == b"timedtimed"
    cache.write_bytes(b"other")
    engine(repository)
    assert cache.read_bytes() == b"timedtimed"


@pytest.mark.usefixtures("tensorrt")
def test_timings_that_cannot_be_kept_do_not_cost_the_plans(repository, tmp_path, capsys):
    (tmp_path / "file").touch()
    engine(repository, "--timing-cache", str(tmp_path / "file" / "cache"))
    assert backends(repository) == SERVED_BY_PLANS
    assert "timings of kernels are not kept" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_found_before_building(
    repository, tensorrt, monkeypatch
):
    def full(path, _data):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(command, "write_partial", full)
    with pytest.raises(OSError, match="Read-only"):
        engine(repository)
    assert tensorrt.Builder.networks == []


@pytest.mark.usefixtures("tensorrt")
def test_what_is_not_finite_is_built_again_with_islands(tmp_path, capsys):
    repository = write_repository(tmp_path / "models", encoder={"overflow": ["softmax"]})
    engine(repository)
    assert backends(repository) == SERVED_BY_PLANS
    assert metadata(repository, ENCODER).islands == ("log", "softmax")
    assert metadata(repository, DECODER).islands == ()
    said = capsys.readouterr().err
    assert "encoded is not finite for random input (features [1, 4, 2]" in said


@pytest.mark.usefixtures("tensorrt")
def test_what_is_still_not_finite_is_an_error_and_the_graphs_stay(tmp_path):
    repository = write_repository(tmp_path / "models", decoder={"overflow": ["product"]})
    before = contents(repository)
    with pytest.raises(EngineError, match=f"{DECODER} in fp16: .* --precision fp32"):
        engine(repository)
    assert backends(repository) == SERVED_BY_GRAPHS
    after = contents(repository)
    assert after.pop(".tensorrt-timing-cache")
    assert after == before


def test_an_fp32_model_has_nothing_to_be_made_fp32(tmp_path, tensorrt):
    overflowing = {"overflow": ["softmax"]}
    repository = write_repository(tmp_path / "models", precision="fp32", encoder=overflowing)
    with pytest.raises(EngineError, match=r"in fp32: .* serve it by ONNX Runtime"):
        engine(repository)
    assert len(tensorrt.Builder.networks) == 1


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"strange": True}, r"cannot read .*node /strange \(Strange\): unsupported"),
        ({"overflow": ["unbuildable"]}, "cannot build .*no implementation of /unbuildable"),
        ({"inputs": {**GRAPH["inputs"], "more": "FLOAT"}}, "inputs are .*'more'"),
    ],
    ids=["parser", "builder", "profiles"],
)
@pytest.mark.usefixtures("tensorrt")
def test_what_tensorrt_refuses_is_an_error_in_its_words(tmp_path, graph, message):
    repository = write_repository(tmp_path / "models", decoder=graph)
    with pytest.raises(EngineError, match=message):
        engine(repository)
    assert backends(repository) == SERVED_BY_GRAPHS
    assert not list(repository.rglob("*.partial"))
    assert not list(repository.rglob("model.plan"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_build_between_two_steps(repository, tensorrt, monkeypatch, number):
    build = tensorrt.Builder.build_serialized_network

    def interrupted(self, network, config):
        signal.raise_signal(number)
        return build(self, network, config)

    monkeypatch.setattr(tensorrt.Builder, "build_serialized_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine(repository)
    assert backends(repository) == SERVED_BY_GRAPHS
    assert not list(repository.rglob("model.plan"))


@pytest.mark.usefixtures("gpu")
def test_a_missing_tensorrt_is_an_error_that_names_the_container(repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"nvcr.io/nvidia/tensorrt"):
        engine(repository)
    assert backends(repository) == SERVED_BY_GRAPHS


def test_a_version_that_is_not_known_is_refused(repository, tensorrt, monkeypatch):
    monkeypatch.setattr(tensorrt, "__version__", "8.6.1")
    with pytest.raises(EngineError, match=r"8\.6\.1 is not supported; .* 10 and 11"):
        engine(repository)


@pytest.mark.usefixtures("tensorrt")
def test_different_gpus_are_refused(repository, monkeypatch):
    monkeypatch.setenv("FAKE_GPUS", "NVIDIA One,NVIDIA Two")
    with pytest.raises(EngineError, match=r"NVIDIA One .* NVIDIA Two .*CUDA_VISIBLE_DEVICES"):
        engine(repository)


def test_a_graph_that_is_not_the_exported_one_is_refused(repository, tensorrt):
    (repository / DECODER / "1" / "model.onnx").write_bytes(b"{}")
    with pytest.raises(RepositoryError, match="is not the file that was exported"):
        engine(repository)
    assert tensorrt.Builder.networks == []


def test_a_repository_without_configs_for_tensorrt_is_refused_before_building(repository, tensorrt):
    (repository / DECODER / "configs" / "tensorrt.pbtxt").unlink()
    with pytest.raises(RepositoryError, match=r"tensorrt.pbtxt cannot be read"):
        engine(repository)
    assert tensorrt.Builder.networks == []


@pytest.mark.parametrize("name", ["nobody", "../repository/small_encoder"])
def test_a_model_without_a_record_is_refused(repository, name):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(RepositoryError, match=r"build record|no model 'nobody'"):
        command.run(parser.parse_args(["--repository", str(repository), "--name", name]))


def test_a_record_that_tells_nothing_of_tensorrt_is_refused(repository):
    path = repository / NAME / "build.json"
    record = json.loads(path.read_text())
    record["models"][ENCODER]["tensorrt"] = {}
    path.write_text(json.dumps(record))
    with pytest.raises(RepositoryError, match="does not say how to build engines"):
        engine(repository)


@pytest.mark.usefixtures("tensorrt")
def test_a_model_that_tensorrt_cannot_run_at_all_is_refused(repository):
    path = repository / NAME / "build.json"
    record = json.loads(path.read_text())
    for model in record["models"].values():
        model["tensorrt"]["obstacles"] = ["strange"]
    path.write_text(json.dumps(record))
    with pytest.raises(EngineError, match="none of the graphs"):
        engine(repository)


@pytest.mark.usefixtures("tensorrt")
def test_building_again_replaces_plans_that_are_served(repository):
    engine(repository)
    (repository / ENCODER / "1" / "model.plan").write_bytes(b"old")
    engine(repository)
    assert (repository / ENCODER / "1" / "model.plan").read_bytes() != b"old"
    assert backends(repository) == SERVED_BY_PLANS


def test_the_graphs_can_serve_again_and_then_the_plans(repository, tensorrt, monkeypatch, capsys):
    before = contents(repository)
    engine(repository)
    engine(repository, "--backend", "onnxruntime")
    assert backends(repository) == SERVED_BY_GRAPHS
    kept = contents(repository)
    assert {name: kept[name] for name in before} == before
    monkeypatch.setattr(command, "tensorrt_version", lambda: tensorrt.__version__)
    engine(repository, "--backend", "tensorrt")
    assert backends(repository) == SERVED_BY_PLANS
    engine(repository, "--backend", "tensorrt")
    assert "changed to tensorrt: nothing" in capsys.readouterr().out


@pytest.mark.usefixtures("tensorrt")
def test_plans_that_do_not_fit_are_not_switched_to(repository, monkeypatch):
    engine(repository)
    engine(repository, "--backend", "onnxruntime")
    monkeypatch.setattr(command, "tensorrt_version", lambda: "11.9.0")
    with pytest.raises(EngineError, match=r"built with TensorRT .*here is 11\.9\.0"):
        engine(repository, "--backend", TENSORRT)
    assert backends(repository) == SERVED_BY_GRAPHS


@pytest.mark.parametrize("tensorrt", ["11.4.0.106"], indirect=True)
@pytest.mark.usefixtures("tensorrt")
def test_check_passes_where_the_plans_were_built(repository, monkeypatch, capsys):
    monkeypatch.setattr(command, "tensorrt_version", lambda: "11.4.0")
    engine(repository, "--check")
    assert "no plan is served" in capsys.readouterr().out
    engine(repository)
    engine(repository, "--check")
    assert f"{ENCODER}, {DECODER} fit this machine" in capsys.readouterr().out


@pytest.mark.parametrize("tensorrt", ["11.4.0.106"], indirect=True)
@pytest.mark.usefixtures("tensorrt")
def test_check_names_everything_that_does_not_fit(repository, monkeypatch):
    engine(repository)
    monkeypatch.setattr(command, "tensorrt_version", lambda: "11.5.0")
    monkeypatch.setenv("FAKE_GPUS", f"{GPU},NVIDIA Other")
    (repository / DECODER / "1" / "model.plan").write_bytes(b"damaged")
    with pytest.raises(EngineError) as raised:
        engine(repository, "--check")
    message = str(raised.value)
    assert message.count("built with TensorRT 11.4.0.106, here is 11.5.0") == 2
    assert message.count(f"built on {GPU} (compute capability 9.0), here is NVIDIA Other") == 2
    assert message.count("is not the plan that plan.json beside it is about") == 1
    assert "--backend onnxruntime" in message


def test_profiles_that_no_engine_can_have_are_refused():
    with pytest.raises(ValueError, match="min <= opt <= max"):
        Profile((1, 2), (1, 1), (1, 3))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many"])
def test_a_workspace_that_is_none_is_refused(repository, value):
    with pytest.raises(SystemExit):
        engine(repository, "--workspace", value)
