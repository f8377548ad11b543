"""The demo model in fp16 and int8 on AN4's test set, against itself in fp32.

On a CPU ONNX Runtime computes fp16 graphs in fp32: this checks stored weights and the graph, not
a GPU's arithmetic.
"""

import shutil
from dataclasses import replace

import pytest
from nemo.collections.asr.metrics.wer import word_error_rate_detail

from demo.paths import DEMO, SPEECH_DATA
from export.checkpoint import load_checkpoint
from export.precision.feeds import Graphs, tokens
from export.precision.fp16 import convert_model
from export.precision.int8 import Int8Options, quantise_encoder
from export.verification.cases import manifest_cases
from export.verification.outputs import greedy_text
from tests.export.support import NAME, export
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4"
pytestmark = needs_speech(AN4)
CALIBRATION_UTTERANCES = 128


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    checkpoint = load_checkpoint(str(DEMO / "demo.nemo"))
    return export(checkpoint, tmp_path_factory.mktemp("an4") / "repository")


@pytest.fixture(scope="module")
def fp32(exported):
    return Graphs.of(exported.repository, NAME, exported.checkpoint.pipeline)


@pytest.fixture(scope="module")
def train(exported):
    cases = manifest_cases(AN4 / "train_manifest.json", exported.contract)
    return [case.audio for case in cases[:: len(cases) // CALIBRATION_UTTERANCES]]


def results(graphs, contract):
    """Greedy tokens of the test set, and their word errors."""
    cases = manifest_cases(AN4 / "test_manifest.json", contract)
    found = tokens(graphs.encoder, graphs.decoder, graphs.features(case.audio for case in cases))
    texts = [greedy_text(utterance, contract) for utterance in found]
    rate, words, *_ = word_error_rate_detail(texts, [case.text for case in cases])
    return found, round(rate * words)


@pytest.fixture(scope="module")
def in_fp32(fp32, exported):
    return results(fp32, exported.contract)


def judged(graphs, in_fp32, contract):
    """The share of equal tokens, and the word errors more than in fp32."""
    (expected, errors), (actual, more) = in_fp32, results(graphs, contract)
    equal = sum(int((a == b).sum()) for a, b in zip(expected, actual, strict=True))
    return equal / sum(map(len, expected)), more - errors


def test_fp16_makes_at_most_one_word_error_more(exported, fp32, in_fp32, train, tmp_path):
    encoder = shutil.copy(fp32.encoder, tmp_path / "encoder.onnx")
    decoder = shutil.copy(fp32.decoder, tmp_path / "decoder.onnx")
    graphs = replace(fp32, encoder=encoder, decoder=decoder)
    convert_model(graphs, train[:16])
    agreement, errors = judged(graphs, in_fp32, exported.contract)
    assert agreement >= 0.999
    assert errors <= 1


@pytest.mark.parametrize("symmetric", [False, True], ids=["for CPUs", "for TensorRT"])
def test_int8_makes_at_most_four_word_errors_more(
    symmetric, exported, fp32, in_fp32, train, tmp_path
):
    graphs = replace(fp32, encoder=tmp_path / "encoder.onnx")
    options = Int8Options(symmetric_activations=symmetric)
    quantised = quantise_encoder(fp32, graphs.encoder, train, options, lambda _: None)
    agreement, errors = judged(graphs, in_fp32, exported.contract)
    assert agreement >= 0.99
    assert errors <= 4
    assert len(quantised.layers) > len(quantised.kept_in_fp32)
