"""The ``onnxruntime`` stand-in serves what the native backend does: a real server, real graphs."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from server import EmbeddedServer, ServerOptions, free_ports
from tests.server.harness import (
    IDENTITY_CONFIG,
    WEIGHTED_SUMS_CONFIG,
    graph,
    identity,
    weighted_sums,
    write_model,
)

DTYPES = {
    "bool": (TensorProto.BOOL, "TYPE_BOOL"),
    "uint8": (TensorProto.UINT8, "TYPE_UINT8"),
    "uint16": (TensorProto.UINT16, "TYPE_UINT16"),
    "uint32": (TensorProto.UINT32, "TYPE_UINT32"),
    "uint64": (TensorProto.UINT64, "TYPE_UINT64"),
    "int8": (TensorProto.INT8, "TYPE_INT8"),
    "int16": (TensorProto.INT16, "TYPE_INT16"),
    "int32": (TensorProto.INT32, "TYPE_INT32"),
    "int64": (TensorProto.INT64, "TYPE_INT64"),
    "float16": (TensorProto.FLOAT16, "TYPE_FP16"),
    "float32": (TensorProto.FLOAT, "TYPE_FP32"),
    "float64": (TensorProto.DOUBLE, "TYPE_FP64"),
}
# Long enough for all requests of a test to meet in the queue.
BATCHING = {"dynamic_batching": {"max_queue_delay_microseconds": 300_000}}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    repository = tmp_path_factory.mktemp("repository")
    write_model(repository, "ragged", weighted_sums(), {**WEIGHTED_SUMS_CONFIG, **BATCHING})
    every_type = graph(
        [(f"in_{name}", kind, ["batch", 2]) for name, (kind, _) in DTYPES.items()],
        [(f"out_{name}", kind, ["batch", 2]) for name, (kind, _) in DTYPES.items()],
        [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in DTYPES],
    )
    write_model(
        repository,
        "every_type",
        every_type,
        {
            "max_batch_size": 8,
            **BATCHING,
            **{
                f"{side}put": [
                    {"name": f"{side}_{name}", "data_type": kind, "dims": [2]}
                    for name, (_, kind) in DTYPES.items()
                ]
                for side in ("in", "out")
            },
        },
    )
    rows_of_three = graph(
        [("x", TensorProto.FLOAT, ["batch", "samples"])],
        [("y", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"shape": (TensorProto.INT64, [2], [-1, 3])},
    )
    three = [{"name": "y", "data_type": "TYPE_FP32", "dims": [3]}]
    write_model(repository, "rows_of_three", rows_of_three, {**IDENTITY_CONFIG, "output": three})
    whole = [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, -1]}]
    write_model(
        repository,
        "unbatched",
        identity(),
        {
            "max_batch_size": 0,
            "default_model_filename": "other.onnx",
            "input": whole,
            "output": [{**whole[0], "name": "y"}],
            "optimization": {
                "graph": {"level": -1},
                "execution_accelerators": {"gpu_execution_accelerator": [{"name": "tensorrt"}]},
            },
        },
    )
    for threads, priority in ((1, "PRIORITY_DEFAULT"), (5, "PRIORITY_MIN")):
        parameters = {
            "intra_op_thread_count": {"string_value": str(threads)},
            "a_parameter_nobody_knows": {"string_value": "ignored"},
        }
        write_model(
            repository,
            f"threads_{threads}",
            identity(),
            {
                **IDENTITY_CONFIG,
                "parameters": parameters,
                "optimization": {"priority": priority},
            },
        )
    summaries = ("--metrics-config=summary_latencies=true",)
    options = ServerOptions(repository, **free_ports(), extra_arguments=summaries)
    with EmbeddedServer(options) as running:
        yield running


@pytest.fixture(scope="module")
def client(server) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.grpc_url) as connected:
        yield connected


def infer(client, model, inputs, outputs):
    tensors = []
    for name, array in inputs.items():
        tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    wanted = [InferRequestedOutput(name) for name in outputs]
    result = client.infer(model, tensors, outputs=wanted)
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def infer_together(client, model, requests):
    """Answer requests (inputs, outputs) sent at once, and say how many runs they took."""
    before = runs(client, model)
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(lambda request: infer(client, model, *request), requests))
    return answers, runs(client, model) - before


def runs(client, model):
    return client.get_inference_statistics(model).model_stats[0].execution_count


def utterances(*lengths):
    """``audio`` INT16 [b, N]: utterances of one request have equal length."""
    rng = np.random.default_rng(sum(lengths))
    return rng.integers(-100, 100, size=lengths, dtype=np.int16)


def test_a_ragged_batch_gives_each_request_its_own_result(client):
    audio = [utterances(1, 50), utterances(1, 7), utterances(2, 31), utterances(1, 1)]
    requests = [({"audio": signal}, ("total", "samples")) for signal in audio]
    together, executions = infer_together(client, "ragged", requests)
    assert executions < len(requests)
    for signal, answer in zip(audio, together, strict=True):
        count = signal.shape[1]
        assert answer["samples"].tolist() == [[count]] * len(signal)
        expected = signal.astype(np.float32) @ np.arange(count, dtype=np.float32)
        np.testing.assert_array_equal(answer["total"], expected[:, None])


def test_a_request_gets_the_outputs_it_asked_for_and_no_others(client):
    asked = [("samples",), ("total",), ("total", "samples")]
    requests = [({"audio": utterances(1, 9)}, names) for names in asked]
    together, executions = infer_together(client, "ragged", requests)
    assert executions < len(requests)
    assert [set(answer) for answer in together] == [set(names) for names in asked]


def test_every_data_type_passes_through_a_batch_unchanged(client):
    def request(size):
        rng = np.random.default_rng(size)
        arrays = {name: rng.integers(0, 2, (size, 2)).astype(name) for name in DTYPES}
        inputs = {f"in_{name}": array for name, array in arrays.items()}
        return arrays, (inputs, [f"out_{name}" for name in DTYPES])

    sent, requests = zip(*[request(size) for size in (1, 3, 2)], strict=True)
    together, executions = infer_together(client, "every_type", requests)
    assert executions < len(requests)
    for arrays, answer in zip(sent, together, strict=True):
        for name, array in arrays.items():
            assert answer[f"out_{name}"].dtype == array.dtype
            np.testing.assert_array_equal(answer[f"out_{name}"], array)


@pytest.mark.parametrize(
    ("samples", "message"),
    [(2, "Reshape"), (6, "its first dimension must be the batch")],
    ids=["the run fails", "the output is no batch"],
)
def test_a_failing_run_is_answered_with_an_error_and_the_next_one_works(client, samples, message):
    with pytest.raises(InferenceServerException, match=message):
        infer(client, "rows_of_three", {"x": np.ones((1, samples), np.float32)}, ["y"])
    x = np.array([[1, 2, 3]], np.float32)
    np.testing.assert_array_equal(infer(client, "rows_of_three", {"x": x}, ["y"])["y"], x)


def test_a_model_without_a_batch_dimension_takes_whole_tensors(client):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(infer(client, "unbatched", {"x": x}, ["y"])["y"], x)


def test_the_thread_count_parameter_reaches_onnx_runtime(server):
    threads = {
        model: len(list(Path(f"/proc/{pid}/task").iterdir()))
        for pid, model in server._stubs.items()
    }
    # ONNX Runtime counts the calling thread, so five are four more than one.
    assert threads["threads_5"] - threads["threads_1"] == 4


def test_a_model_of_the_least_priority_yields_to_the_others(server):
    niceness = {model: os.getpriority(os.PRIO_PROCESS, pid) for pid, model in server._stubs.items()}
    assert niceness.pop("threads_5") == 19
    assert set(niceness.values()) == {os.getpriority(os.PRIO_PROCESS, 0)}


def test_the_server_lists_its_models(server):
    assert server.models == (
        "every_type",
        "ragged",
        "rows_of_three",
        "threads_1",
        "threads_5",
        "unbatched",
    )


def test_extra_arguments_reach_the_server_and_metrics_are_served(client, server):
    infer(client, "unbatched", {"x": np.ones((1, 1), np.float32)}, ["y"])
    url = urlsplit(server.metrics_url)
    connection = HTTPConnection(url.netloc)
    connection.request("GET", url.path)
    metrics = connection.getresponse().read().decode()
    connection.close()
    assert 'nv_inference_request_summary_us_count{model="unbatched"' in metrics
