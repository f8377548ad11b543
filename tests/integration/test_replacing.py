"""A model is replaced while a polling server serves it: no answer is made of two exports.

The replacement is the demo itself with its channels and its vocabulary in another order. A mix of
the two, or one's tokens read with the other's vocabulary, is not the demo's text.
"""

import shutil
import threading
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from time import monotonic, sleep

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from client import Transcriber, load_audio
from client.decoding import GreedyOptions, make_decoder
from client.errors import ContractError, ModelNotReady, ServerUnavailable
from client.wire.contract import AUDIO_SIGNAL, CONTRACT_PARAMETER, LOG_PROBS_LENGTH, TOKENS
from demo.paths import DEMO
from export.config import config_text, set_version
from export.repository import graph_path, publish, read_config, read_contract, staging
from server import EmbeddedServer, ServerOptions, free_ports

NAME = "demo"
STEPS = tuple(f"{NAME}_{role}" for role in ("preprocessor", "encoder", "decoder"))
REPLACEMENTS = 10
POLL = ("--model-control-mode=poll", "--repository-poll-secs=1")
CLIP = DEMO / "clips" / "clip_01.flac"
PATIENCE_S = 60.0
NOT_THERE = ("StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND")


def reordered(demo, folder):
    """The models of ``demo``, of which encoder and decoder have channels and tokens backwards."""
    shutil.copytree(demo, folder)
    encoder, decoder = (onnx.load(graph_path(folder, model)) for model in STEPS[1:])
    last = [node for node in encoder.graph.node if node.op_type == "Conv"][-1]
    for name in last.input[1:]:  # [D, channels, 1], [D]
        change(encoder, name, lambda values: values[::-1])
    tokens = np.r_[np.arange(27, -1, -1), 28]  # the blank stays last
    change(decoder, "weight", lambda values: values[::-1, tokens])  # [D, V]
    change(decoder, "bias", lambda values: values[tokens])
    for graph, model in zip((encoder, decoder), STEPS[1:], strict=True):
        onnx.save(graph, graph_path(folder, model))
    contract = read_contract(folder, NAME)
    contract = replace(contract, model_version=1_000_000_007, vocabulary=contract.vocabulary[::-1])
    for model in (*STEPS, NAME):
        (version,) = (folder / model).glob("[0-9]*")
        version.rename(version.with_name(str(contract.model_version)))
        config = read_config(folder, model)
        set_version(config, contract.model_version)
        if model == NAME:
            config.parameters[CONTRACT_PARAMETER].string_value = contract.to_json()
        (folder / model / "config.pbtxt").write_text(config_text(config))
    return contract


def change(graph, name, reorder):
    (tensor,) = (each for each in graph.graph.initializer if each.name == name)
    values = np.ascontiguousarray(reorder(numpy_helper.to_array(tensor)))
    tensor.CopyFrom(numpy_helper.from_array(values, name))


@pytest.fixture(scope="module")
def exports(tmp_path_factory, demo_repository):
    """Folders with the models of the demo and of its likeness, each one instance a step."""
    folder = tmp_path_factory.mktemp("exports")
    shutil.copytree(demo_repository, folder / "demo")
    reordered(folder / "demo", folder / "reordered")
    for config_file in folder.glob("*/*/config.pbtxt"):
        config = read_config(config_file.parents[1], config_file.parent.name)
        for group in config.instance_group:
            group.count = 1
        config_file.write_text(config_text(config))
    return [folder / "demo", folder / "reordered"]


@pytest.fixture(scope="module")
def contracts(exports):
    return [read_contract(folder, NAME) for folder in exports]


def publish_copy(folder, repository):
    with staging(repository) as staged:
        for model in folder.iterdir():  # as new files: Triton looks at their times
            shutil.copytree(model, staged / model.name, copy_function=shutil.copyfile)
        publish(staged, repository, NAME)


class AnyVersion:
    """Asks for whatever version is served, as other clients do."""

    def __init__(self, url, contracts):
        self.heard = Counter()
        self.unexpected = []
        self._url = url
        self._decoders = {
            str(contract.model_version): make_decoder(contract, GreedyOptions())
            for contract in contracts
        }
        samples = load_audio(CLIP, contracts[0].sample_rate_hz)[np.newaxis]  # [1, N]
        self._audio = InferInput(AUDIO_SIGNAL, list(samples.shape), "INT16")
        self._audio.set_data_from_numpy(samples)
        self._outputs = [InferRequestedOutput(TOKENS), InferRequestedOutput(LOG_PROBS_LENGTH)]

    def hammer(self, stopped):
        """Ask again and again until ``stopped`` is set."""
        with closing(InferenceServerClient(self._url)) as client:
            while not stopped.is_set():
                try:
                    reply = client.infer(NAME, [self._audio], outputs=self._outputs)
                except InferenceServerException as error:
                    if error.status() not in NOT_THERE:
                        self.unexpected.append(str(error))
                    sleep(0.01)
                else:
                    version = reply.get_response().model_version
                    frames = reply.as_numpy(LOG_PROBS_LENGTH)[0, 0]
                    tokens = reply.as_numpy(TOKENS)[0, :frames]
                    self.heard[version, self._decoders[version].decode(tokens).text] += 1


class OneContract:
    """Keeps the contract that it began with, until it is told that the model was replaced."""

    def __init__(self, url):
        self.heard = Counter()
        self.unexpected = []
        self.replaced = 0
        self._url = url

    def hammer(self, stopped):
        """Ask again and again until ``stopped`` is set."""
        while not stopped.is_set():
            with (
                suppress(ModelNotReady, ServerUnavailable),
                Transcriber(self._url, NAME) as transcriber,
            ):
                self._transcribe(transcriber, stopped)

    def _transcribe(self, transcriber, stopped):
        while not stopped.is_set():
            (result,) = transcriber.transcribe([CLIP])
            if isinstance(result.error, ContractError):
                self.replaced += 1
                return
            if result.error is not None:
                self.unexpected.append(str(result.error))
            else:
                self.heard[result.transcript.text] += 1


def served_version(client, patience_s=PATIENCE_S):
    """What the server has of the model, as soon as it has any."""
    until_s = monotonic() + patience_s
    while monotonic() < until_s:
        with suppress(InferenceServerException):
            (version,) = client.get_model_metadata(NAME).versions
            return int(version)
        sleep(0.1)
    pytest.fail(f"the server has no {NAME} after {patience_s} s")


def wait_for(version, client):
    until_s = monotonic() + PATIENCE_S
    while served_version(client) != version:
        assert monotonic() < until_s, f"version {version} is not served"
        sleep(0.1)


def test_every_answer_of_ten_replacements_is_of_one_export(exports, contracts, tmp_path):
    repository = tmp_path / "repository"
    publish_copy(exports[0], repository)
    options = ServerOptions(repository, **free_ports(), extra_arguments=POLL)
    stopped = threading.Event()
    with (
        EmbeddedServer(options) as server,
        closing(InferenceServerClient(server.grpc_url)) as client,
    ):
        with Transcriber(server.grpc_url, NAME) as transcriber:
            (before,) = transcriber.transcribe([CLIP])
        text = before.transcript.text
        hammers = [AnyVersion(server.grpc_url, contracts), OneContract(server.grpc_url)]
        threads = [threading.Thread(target=each.hammer, args=(stopped,)) for each in hammers]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, REPLACEMENTS + 1):
                publish_copy(exports[number % 2], repository)
                wait_for(contracts[number % 2].model_version, client)
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
    any_version, one_contract = hammers
    assert [any_version.unexpected, one_contract.unexpected] == [[], []]
    assert set(any_version.heard) == {(str(each.model_version), text) for each in contracts}
    assert set(one_contract.heard) == {text}
    assert one_contract.replaced >= REPLACEMENTS // 2
