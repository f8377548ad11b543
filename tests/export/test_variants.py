"""What NeMo's users have beside the families' plain models is exported as exactly."""

import numpy as np
import onnx
import pytest

from export.build import build
from export.repository import graph_path
from export.verification.reference import run_nemo
from tests.export import models
from tests.export.support import NAME, noise, quick_build


@pytest.mark.parametrize("name", models.VARIANTS)
def test_every_variant_passes_the_gate_of_a_build(name, tmp_path):
    result = build(models.VARIANTS[name](), quick_build(tmp_path / "repository"))
    problems = [problem for row in result.verification.rows for problem in row.problems]
    assert (result.published, problems) == (True, [])


@pytest.mark.parametrize(
    ("encoder", "adapter"),
    [
        (models.fastconformer(32, 2, 4), "encoder:linear"),
        (models.fastconformer(32, 2, 4), "encoder:mha"),
        (models.fastconformer(32, 2, 4), "decoder:head"),
        (models.SMALL["quartznet"].encoder, "encoder:linear"),
    ],
    ids=["conformer", "attention", "decoder", "quartznet"],
)
def test_adapters_count_in_nemo_only_while_they_are_enabled(encoder, adapter):
    plain, on, off = (
        run_nemo(checkpoint, noise(16000)).log_probs
        for checkpoint in (
            models.variant(encoder),
            models.adapted(encoder, adapter),
            models.adapted(encoder, adapter, enabled=False),
        )
    )
    np.testing.assert_array_equal(off, plain)
    assert np.abs(on - plain).max() > 0.1


def test_weights_of_adapters_are_in_the_graph_only_while_they_are_enabled(tmp_path):
    counts = {}
    for enabled in (True, False):
        checkpoint = models.adapted(
            models.SMALL["quartznet"].encoder, "encoder:linear", enabled=enabled
        )
        folder = tmp_path / str(enabled)
        build(checkpoint, quick_build(folder))
        graph = onnx.load(graph_path(folder, f"{NAME}_encoder")).graph
        counts[enabled] = sum(np.prod(tensor.dims) for tensor in graph.initializer)
    assert counts[True] > counts[False]
