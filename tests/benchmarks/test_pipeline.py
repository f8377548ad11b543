"""An exported model's graphs in bare ONNX Runtime: what they compute, and what is refused."""

import numpy as np
import pytest

from benchmarks.errors import ModelError, ProviderError
from benchmarks.pipeline import Pipeline, RuntimeOptions, host, noise, read_contract
from tests.benchmarks.models import VOCABULARY, write_pipeline


def test_a_batch_goes_from_samples_to_tokens_and_log_probs(repository):
    pipeline = Pipeline(repository, "one", RuntimeOptions(threads=1))
    found = host(pipeline.run([noise(1600), noise(1600, seed=1)]), ("tokens", "log_probs"))
    assert found["log_probs"].shape == (2, 10, len(VOCABULARY) + 1)
    assert np.array_equal(found["tokens"], found["log_probs"].argmax(axis=-1))


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "no model 'none'"), ("one_encoder", "'one_encoder' carries no contract")],
)
def test_a_model_without_a_contract_is_an_error(repository, name, message):
    with pytest.raises(ModelError, match=message):
        read_contract(repository, name)


def test_a_provider_that_this_onnxruntime_lacks_is_an_error(repository):
    with pytest.raises(ProviderError, match="install onnxruntime-gpu in its place"):
        Pipeline(repository, "one", RuntimeOptions("cuda"))


def test_a_graph_that_does_not_load_is_named(tmp_path):
    write_pipeline(tmp_path, "broken")
    (tmp_path / "broken_encoder" / "1" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot load"):
        Pipeline(tmp_path, "broken", RuntimeOptions())
