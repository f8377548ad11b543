"""Weights that are drawn again: the same numbers everywhere, and recognised in what they became."""

import numpy as np
import pytest

from benchmarks.errors import BundleError
from benchmarks.gpu.weights import ALIGNMENT, Derived, Draw, Weights, derive

KERNEL = Draw("net/conv.weight", (6, 5, 3), 0.25)
MATRIX = Draw("net/linear.weight", (8, 8), 1.5)
DRAWS = {draw.name: draw for draw in (KERNEL, MATRIX)}
SCALE = np.linspace(0.5, 2, 6, dtype=np.float32)


def test_a_draw_is_the_same_numbers_on_every_machine():
    # Written down once: another version of NumPy must still give these.
    expected = np.frombuffer(bytes.fromhex("4a43e6bdd854233d3beeb13c"), np.float32)
    np.testing.assert_array_equal(KERNEL.values().ravel()[:3], expected)


def test_draws_have_their_deviation_and_mean_zero_and_differ_by_name():
    large = Draw("large", (300, 500), 0.02).values()
    assert large.dtype == np.float32
    assert large.std() == pytest.approx(0.02, rel=0.01)
    assert abs(large.mean()) < 0.001
    assert not np.array_equal(large, Draw("other", (300, 500), 0.02).values())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    ("array", "transposed", "scaled"),
    [
        (KERNEL.values(), False, False),
        (KERNEL.values() * SCALE[:, None, None], False, True),
        (MATRIX.values(), False, False),
        (MATRIX.values().T, True, False),
        (MATRIX.values().T[None], True, False),
    ],
    ids=["kernel", "kernel with a folded normalisation", "matrix", "transposed", "with an axis"],
)
def test_what_an_exporter_made_of_a_draw_is_recognised_and_made_again(
    array, transposed, scaled, dtype
):
    array = array.astype(dtype)
    derived = derive(array, DRAWS.values())
    assert (derived.transposed, derived.scale is not None) == (transposed, scaled)
    again = derived.values(DRAWS)
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    np.testing.assert_allclose(again, array, rtol=2e-3 if dtype == np.float16 else 1e-5)
    if dtype == np.float32 and not scaled:
        np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).standard_normal((6, 5, 3), dtype=np.float32),
        KERNEL.values()[::-1],
        KERNEL.values() + np.eye(5, 3, dtype=np.float32),
        MATRIX.values()[0],
        np.zeros((8, 8), np.float32),
    ],
    ids=["strange", "reversed", "shifted", "a vector", "zeros"],
)
def test_what_no_draw_became_is_not_taken_for_one(array):
    derived = derive(array, DRAWS.values())
    assert derived is None or np.array_equal(derived.values(DRAWS), array)


def test_data_files_hold_each_tensor_at_its_place_and_are_the_same_each_time(tmp_path):
    tensors = [
        Derived(KERNEL.name, (6, 15), "float16", scale=tuple(SCALE.tolist())),
        Derived(MATRIX.name, (8, 8), "float32", transposed=True),
    ]
    weights = Weights(DRAWS, {"model.onnx.data": tensors}, {"p": {"w": tensors[1]}})
    again = Weights.from_json(weights.to_json())
    assert again == weights
    again.write_data_files(tmp_path)
    data = (tmp_path / "model.onnx.data").read_bytes()
    half = (KERNEL.values() * SCALE[:, None, None]).astype(np.float16)
    offset = -(-half.nbytes // ALIGNMENT) * ALIGNMENT
    assert data[: half.nbytes] == half.tobytes()
    assert data[offset : offset + 256] == MATRIX.values().T.tobytes()
    (tmp_path / "model.onnx.data").write_bytes(b"cut short")
    weights.write_data_files(tmp_path)
    assert (tmp_path / "model.onnx.data").read_bytes() == data


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"draws": {"a": 1}}'])
def test_what_is_no_recipe_is_an_error(text):
    with pytest.raises(BundleError, match="make the bundle again"):
        Weights.from_json(text)
