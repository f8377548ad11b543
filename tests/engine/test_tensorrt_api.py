"""What our code calls is in the real TensorRT, by a record of its bindings on PyPI.

Our code runs on a stand-in in these tests, so what it uses is in the stand-in; the stand-in is
held against the record. ``record_tensorrt_api.py`` makes the record anew.
"""

import enum
import inspect
import json
import re

import pytest

from export.engine.islands import LEVELS
from export.engine.probe import _CODES
from tests.engine import fake_tensorrt
from tests.engine.record_tensorrt_api import RECORD

API = json.loads(RECORD.read_text())
CLASSES = {
    name: item
    for name, item in vars(fake_tensorrt).items()
    if isinstance(item, type) and item.__module__ == fake_tensorrt.__name__
}


@pytest.fixture(params=API)
def recorded(request):
    return API[request.param]


def test_the_record_has_the_first_and_the_newest_of_both_supported_versions():
    assert [version.split(".")[0] for version in API] == ["10", "10", "11", "11"]


def test_every_class_and_member_of_the_stand_in_is_in_tensorrt(recorded):
    for name, item in CLASSES.items():
        members = set(item.__members__) if issubclass(item, enum.Enum) else public_members(item)
        assert members <= set(recorded[name]), name


def test_the_stand_in_takes_the_arguments_that_tensorrt_takes(recorded):
    for name, item in CLASSES.items():
        if issubclass(item, enum.Enum):
            continue
        for member in public_members(item):
            function = vars(item).get(member)
            if inspect.isfunction(function):
                arguments = list(inspect.signature(function).parameters)[1:]
                assert arguments in recorded[name][member], f"{name}.{member}"


def test_kinds_of_layers_and_types_that_our_code_names_are_in_tensorrt(recorded):
    assert {kind for kinds in LEVELS for kind in kinds} <= set(recorded["LayerType"])
    assert set(_CODES) <= set(recorded["DataType"])


def public_members(item):
    """Members a caller can use; constructors are checked where the class has its own."""
    set_on_self = re.findall(r"\bself\.([a-z]\w*)", inspect.getsource(item))
    own = {name for name in vars(item) if not name.startswith("_")} | set(set_on_self)
    if item.__name__ in ("Builder", "OnnxParser", "Runtime", "Logger", "ILogger"):
        own.add("__init__")
    return own - {"configs", "networks"}
