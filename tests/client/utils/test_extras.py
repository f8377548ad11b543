"""Optional packages are named where they are missing, to people and to programs."""

import pickle
import sys

import pytest

from client.bulk.ray_engine.cluster import RayOptions, import_ray
from client.errors import AsrError, MissingPackage
from client.utils.extras import import_extra, import_native, missing


@pytest.fixture
def missing_native(monkeypatch):
    """Raises and returns the error for the native package, which is not installed."""
    monkeypatch.setitem(sys.modules, "nemo_ctc_search", None)

    def error():
        with pytest.raises(MissingPackage) as raised:
            import_native("beam search")
        return raised.value

    return error


def test_a_missing_package_is_an_import_error_that_knows_its_extra():
    with pytest.raises(ImportError) as raised:
        import_extra("no_such_package", "tune", "tuning")
    error = raised.value
    assert isinstance(error, AsrError)
    assert (error.package, error.extra) == ("no_such_package", "tune")
    assert str(error).startswith("tuning needs the package no_such_package, which is not installed")


def test_the_native_package_is_one_of_its_own(missing_native):
    error = missing_native()
    assert (error.package, error.extra) == ("nemo-ctc-search", "")
    assert str(error).startswith("beam search needs the package nemo-ctc-search, which is not")
    assert "run pip install ./client/native in the checkout" in str(error)


def test_without_ray_the_error_knows_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingPackage) as raised:
        import_ray(RayOptions(address="not needed"))
    assert raised.value.extra == "ray"


def test_only_what_is_compiled_asks_for_a_compiler(missing_native):
    assert "g++" not in str(missing("jiwer", "evaluate", "evaluation"))
    assert "g++, cmake and zlib1g-dev" in str(missing_native())


def test_the_error_comes_whole_from_another_process():
    sent = missing("jiwer", "evaluate", "evaluation")
    received = pickle.loads(pickle.dumps(sent))  # noqa: S301
    assert isinstance(received, MissingPackage)
    assert (str(received), received.package, received.extra) == (str(sent), "jiwer", "evaluate")
