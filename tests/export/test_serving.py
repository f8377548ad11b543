"""How a model is served changes its queues, instances and threads, and nothing that it computes."""

import argparse
import queue
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.assemble import Recipe
from export.build import build
from export.config import model_config, parse_config, tensorrt_config
from export.configure import reconfigure
from export.engine.switch import serving_backend, switch
from export.errors import ExportError, RepositoryError
from export.layout import version_folder
from export.record import read_record
from export.repository import graph_path, publish, read_contract, write_config
from export.serving import DEFAULT_SERVING, PRESETS, SPARE, Serving, cpu, throughput
from export.serving_options import add_arguments, serving_of
from export.verification.outputs import max_abs
from export.verification.triton import batch_statistics, embedded_server, run_triton
from tests.export.support import NAME, contents, noise, quick_build

REQUESTS = 64
SHORT_RANGES = replace(throughput(2), ranges_s=(1.0, 2.0), queue_delay_us=200_000)


@pytest.fixture
def repository(quartznet, tmp_path):
    """Served with two length ranges."""
    options = quick_build(tmp_path / "repository")
    recipe = Recipe(NAME, serving=SHORT_RANGES)
    assert build(quartznet, replace(options, recipe=recipe)).published
    return options.repository


def configs(quartznet, serving):
    return [model_config(NAME, model, serving) for model in quartznet.pipeline.models]


def threads(config):
    return config.parameters["intra_op_thread_count"].string_value


@pytest.mark.parametrize("preset", [*PRESETS])
def test_the_small_steps_leave_the_encoder_its_cores(preset, quartznet):
    preprocessor, _, decoder = configs(quartznet, PRESETS[preset](2))
    assert threads(preprocessor) == threads(decoder) == "1"
    at_once = 1 + PRESETS[preset](2).spare
    assert preprocessor.instance_group[0].count == decoder.instance_group[0].count == at_once


def test_on_a_cpu_each_core_has_an_encoder_that_takes_one_request_at_a_time(quartznet):
    models = configs(quartznet, cpu(6))
    encoder = models[1]
    assert (encoder.instance_group[0].count, threads(encoder)) == (6 + SPARE, "1")
    assert {model.instance_group[0].KIND_CPU for model in models} == {
        model.instance_group[0].kind for model in models
    }
    assert all(list(model.dynamic_batching.preferred_batch_size) == [1] for model in models)


def test_what_has_begun_goes_first(quartznet):
    preprocessor, *others = (model.optimization for model in configs(quartznet, cpu(2)))
    assert preprocessor.priority == preprocessor.PRIORITY_MIN
    assert {each.priority for each in others} == {preprocessor.PRIORITY_DEFAULT}


@pytest.mark.parametrize("preset", [*PRESETS])
def test_every_queue_has_an_end_and_a_time(preset, quartznet):
    serving = replace(PRESETS[preset](2), queue_size=7, queue_timeout_us=3_000_000)
    for model in configs(quartznet, serving):
        policy = model.dynamic_batching.default_queue_policy
        assert (policy.max_queue_size, policy.default_timeout_microseconds) == (7, 3_000_000)
        assert policy.timeout_action == policy.REJECT
        assert policy.allow_timeout_override


def test_every_instance_runs_once_before_it_is_ready(repository):
    for name, dims in {
        "preprocessor": {"audio_signal": [32000]},
        "encoder": {"features": [80, 200], "features_length": [1]},
        "decoder": {"encoded": [48, 100], "encoded_length": [1]},
    }.items():
        files = [*(repository / f"{NAME}_{name}").rglob("*.pbtxt")]
        assert files
        for file in files:
            (warmup,) = parse_config(file.read_text()).model_warmup
            assert {key: list(each.dims) for key, each in warmup.inputs.items()} == dims


def test_a_full_queue_refuses_at_once_and_the_rest_is_answered(repository):
    reconfigure(repository, NAME, replace(cpu(1), queue_size=4))
    audio = noise(16000 * 20)
    sent = InferInput("audio_signal", [1, len(audio)], "INT16")
    sent.set_data_from_numpy(audio[None])
    replies = queue.SimpleQueue()
    with embedded_server(repository, [NAME]) as url, InferenceServerClient(url) as client:
        for _ in range(REQUESTS):
            client.async_infer(NAME, [sent], lambda **outcome: replies.put(outcome["error"]))
        errors = [replies.get(timeout=60) for _ in range(REQUESTS)]
    refused = [error for error in errors if error is not None]
    assert 0 < len(refused) < REQUESTS
    assert {error.status() for error in refused} == {"StatusCode.UNAVAILABLE"}
    assert "Exceeds maximum queue size" in refused[0].message()
    assert errors[-1] is None, "a refusal came after the last answer"


def test_for_throughput_the_preprocessor_waits_for_a_batch(quartznet):
    preprocessor, encoder, _ = configs(quartznet, throughput(2))
    assert list(preprocessor.dynamic_batching.preferred_batch_size) == [8, 16]
    assert list(encoder.dynamic_batching.preferred_batch_size) == [8, 16]
    waits = [
        model.dynamic_batching.max_queue_delay_microseconds for model in (preprocessor, encoder)
    ]
    assert waits[0] > waits[1] > 0


def test_length_ranges_are_models_beside_the_main_one(repository):
    contract = read_contract(repository, NAME)
    assert [(route.max_samples, route.model) for route in contract.routes] == [
        (16000, f"{NAME}_upto_1s"),
        (32000, f"{NAME}_upto_2s"),
    ]
    for route in contract.routes:
        config = parse_config((repository / route.model / "config.pbtxt").read_text())
        steps = [step.model_name for step in config.ensemble_scheduling.step]
        assert steps[1:] == [f"{NAME}_encoder", f"{NAME}_decoder"]
        assert graph_path(repository, steps[0]).is_file()
        assert "contract" not in config.parameters  # or it would be listed as a model of its own


def test_ranges_beyond_the_longest_utterance_are_left_out(quartznet, tmp_path):
    recipe = Recipe(NAME, max_duration_s=5.0, serving=throughput(2))
    built = build(quartznet, replace(quick_build(tmp_path / "repository"), recipe=recipe))
    assert [route.max_samples for route in built.contract.routes] == [32000, 64000]


def test_a_model_can_be_served_otherwise_without_its_checkpoint(repository):
    before = {name: data for name, data in contents(repository).items() if name.endswith(".onnx")}
    contract = reconfigure(repository, NAME, cpu(3))
    assert contract == read_contract(repository, NAME)
    assert contract.routes == ()
    after = {name: data for name, data in contents(repository).items() if name.endswith(".onnx")}
    assert after == {name: data for name, data in before.items() if "_upto_" not in name}
    assert sorted(path.name for path in repository.iterdir()) == [
        NAME,
        *(f"{NAME}_{role}" for role in ("decoder", "encoder", "preprocessor")),
    ]
    assert read_record(repository, NAME)["serving"]["instances"] == 3
    reconfigure(repository, NAME, SHORT_RANGES)
    again = {name: data for name, data in contents(repository).items() if name.endswith(".onnx")}
    assert again == before


def test_a_plan_that_serves_goes_on_serving(repository):
    encoder = repository / f"{NAME}_encoder"
    switch(encoder, "tensorrt")
    (version_folder(encoder) / "model.plan").write_bytes(b"plan")
    reconfigure(repository, NAME, DEFAULT_SERVING)
    assert serving_backend(encoder) == "tensorrt"
    assert (version_folder(encoder) / "model.plan").read_bytes() == b"plan"
    assert switch(encoder, "onnxruntime")
    config = parse_config((encoder / "config.pbtxt").read_text())
    assert config.dynamic_batching.max_queue_delay_microseconds == DEFAULT_SERVING.step_delay_us


def test_plans_get_the_instances_too_and_are_not_served_on_a_cpu(repository, quartznet):
    encoder, decoder = quartznet.pipeline.models[1:]
    assert tensorrt_config(NAME, encoder, throughput(2)).instance_group[0].count == 2
    assert tensorrt_config(NAME, decoder, throughput(2)).instance_group[0].count == 1
    switch(repository / f"{NAME}_encoder", "tensorrt")
    before = contents(repository)
    with pytest.raises(RepositoryError, match="on GPUs alone"):
        reconfigure(repository, NAME, cpu(2))
    assert contents(repository) == before


def test_a_step_that_was_put_in_by_hand_stays(repository):
    (repository / f"{NAME}_preprocessor").rename(repository / "shared_preprocessor")
    for ensemble in (NAME, f"{NAME}_upto_1s"):
        path = repository / ensemble / "config.pbtxt"
        path.write_text(path.read_text().replace(f"{NAME}_preprocessor", "shared_preprocessor"))
    (repository / "shared_preprocessor" / "note").write_text("somebody's")
    with tempfile.TemporaryDirectory(dir=repository.parent) as folder:
        staged = Path(folder)
        write_config(staged, ModelConfig(name=NAME))
        publish(staged, repository, NAME)
    assert (repository / "shared_preprocessor" / "note").read_text() == "somebody's"


def test_another_model_in_a_queues_place_is_left_alone(repository):
    other = shutil.copytree(repository / NAME, repository / f"{NAME}_upto_6s")
    before = contents(other)
    with pytest.raises(RepositoryError, match=f"{NAME}_upto_6s"):
        reconfigure(repository, NAME, throughput(2))
    assert contents(other) == before


def test_a_range_need_be_no_whole_number_of_samples(repository):
    contract = reconfigure(repository, NAME, replace(SHORT_RANGES, ranges_s=(1.33333,)))
    (route,) = contract.routes
    assert (repository / route.model / "config.pbtxt").is_file()


def test_what_is_not_there_cannot_be_served_otherwise(repository):
    before = contents(repository)
    with pytest.raises(RepositoryError, match="no model 'other'"):
        reconfigure(repository, "other", cpu(2))
    assert contents(repository) == before


def test_utterances_of_a_range_are_batched_apart_and_come_out_the_same(repository):
    contract = read_contract(repository, NAME)
    utterances = [noise(samples) for samples in (8000, 24000, 40000, 9000, 25000, 41000)]
    encoder = f"{NAME}_encoder"
    with embedded_server(repository, contract.models(NAME)) as url:
        one_by_one = list(run_triton(url, NAME, contract, utterances, at_once=1))
        main = replace(contract, routes=())
        by_the_main_queue = list(run_triton(url, NAME, main, utterances, at_once=6))
        (before,) = batch_statistics(url, [encoder])
        routed = list(run_triton(url, NAME, contract, utterances, at_once=6))
        (after,) = batch_statistics(url, [encoder])
    assert set(after.since(before).executions_by_size) <= {1, 2}  # never a short and a long one
    for others in (by_the_main_queue, routed):
        for expected, actual in zip(one_by_one, others, strict=True):
            assert max_abs(expected.log_probs, actual.log_probs) <= 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances": 0},
        {"threads": -1},
        {"spare": -1},
        {"queue_size": 0},
        {"queue_timeout_us": 0},
        {"ranges_s": (2.0, 1.0)},
        {"ranges_s": (0.0,)},
        {"ranges_s": (float("nan"),)},
    ],
)
def test_what_cannot_be_served_is_refused(wrong):
    with pytest.raises(ValueError, match=r"instance|ranges|queue"):
        Serving("wrong", **wrong)


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return serving_of(parser.parse_args(arguments))


def test_the_command_line_changes_a_preset():
    assert parsed() == DEFAULT_SERVING
    assert parsed("--serving", "cpu", "--cores", "5") == cpu(5)
    two_of_six = parsed("--serving", "cpu", "--cores", "6", "--instances", "2")
    assert two_of_six == replace(cpu(6), instances=2, threads=3)
    shorter = parsed("--queue-size", "9", "--queue-timeout-s", "1.5")
    assert shorter == replace(DEFAULT_SERVING, queue_size=9, queue_timeout_us=1_500_000)
    changed = parsed(
        *("--serving", "throughput", "--cores", "2"),
        *("--queue-delay-ms", "50", "--length-ranges", "4,8"),
    )
    assert changed == replace(throughput(2), queue_delay_us=50_000, ranges_s=(4.0, 8.0))


@pytest.mark.parametrize("option", ["--cores", "--queue-delay-ms", "--length-ranges"])
def test_what_is_no_number_is_said_in_words(option, capsys):
    with pytest.raises(SystemExit):
        parsed(option, "x")
    said = capsys.readouterr().err
    assert "'x'" in said
    assert "invalid" not in said  # argparse's own words, which name a function of ours


@pytest.mark.parametrize(
    "wrong",
    [
        ("--serving", "cpu", "--queue-delay-ms", "5"),
        ("--serving", "cpu", "--length-ranges", "4"),
        ("--length-ranges", "4,2"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(wrong):
    with pytest.raises(ExportError):
        parsed(*wrong)
