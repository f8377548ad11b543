"""The contract: it survives JSON, and every way of being wrong is named."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.errors import ContractError
from client.wire.contract import Contract, Route
from tests.client.support import CONTRACT


@given(st.lists(st.text(max_size=4), min_size=1, max_size=50))
def test_any_vocabulary_survives_json(vocabulary):
    contract = replace(CONTRACT, vocabulary=tuple(vocabulary), blank=len(vocabulary))
    assert Contract.from_json(contract.to_json()) == contract


def test_fields_of_later_exporters_are_ignored():
    text = json.dumps({**asdict(CONTRACT), "doors": [1, 2]})
    assert Contract.from_json(text) == CONTRACT


@pytest.mark.parametrize(
    "name",
    sorted(asdict(CONTRACT).keys() - {"version", "routes", "model_version", "top_k"}),
)
def test_each_missing_field_is_named(name):
    fields = asdict(CONTRACT)
    del fields[name]
    with pytest.raises(ContractError, match=name):
        Contract.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio_type", "FP16"),
        ("sample_rate_hz", 0),
        ("sample_rate_hz", 16000.5),
        ("sample_rate_hz", True),
        ("min_samples", 0),
        ("max_samples", 10),
        ("feature_stride_s", 0),
        ("feature_stride_s", "0.01"),
        ("frame_stride_s", 0.001),
        ("vocabulary", []),
        ("vocabulary", "abc"),
        ("vocabulary", [1, 2]),
        ("vocabulary_kind", "wordpiece"),
        ("blank", 0),
        ("checkpoint", None),
        ("model_version", 0),
        ("model_version", "7"),
        ("top_k", 1),
        ("top_k", 29),
        ("top_k", "16"),
        ("top_k", True),
        ("routes", [1]),
        ("routes", [{"max_samples": 1.5, "model": "short"}]),
        ("routes", [{"max_samples": 5, "model": "shorter than min_samples"}]),
        ("routes", [{"max_samples": 900, "model": "b"}, {"max_samples": 800, "model": "a"}]),
    ],
)
def test_each_bad_field_is_named(name, value):
    with pytest.raises(ContractError, match=name):
        Contract.from_json(json.dumps({**asdict(CONTRACT), name: value}))


def test_a_model_without_length_ranges_takes_every_utterance_itself():
    fields = asdict(CONTRACT)
    del fields["routes"]
    assert Contract.from_json(json.dumps(fields)).model_for("demo", 1000) == "demo"


def test_contracts_from_before_best_tokens_are_read():
    fields = asdict(CONTRACT)
    del fields["top_k"]
    assert Contract.from_json(json.dumps(fields)).top_k is None
    contract = replace(CONTRACT, top_k=16)
    assert Contract.from_json(contract.to_json()) == contract


def test_an_utterance_is_sent_where_the_shortest_range_takes_it():
    contract = replace(CONTRACT, routes=(Route(16000, "short"), Route(24000, "middling")))
    assert Contract.from_json(contract.to_json()) == contract
    sent = {n: contract.model_for("demo", n) for n in (320, 16000, 16001, 24000, 24001)}
    assert list(sent.values()) == ["short", "short", "middling", "middling", "demo"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "not JSON"), ("{", "not JSON"), ("[]", "list"), ('{"version": 2}', "version 2")],
)
def test_what_is_no_contract_is_refused(text, says):
    with pytest.raises(ContractError, match=says):
        Contract.from_json(text)


def test_all_problems_are_named_at_once():
    with pytest.raises(ContractError, match=r"audio_type.*vocabulary_kind.*blank"):
        replace(CONTRACT, audio_type="x", vocabulary_kind="y", blank=0)


def test_importing_the_contract_needs_only_the_standard_library_and_numpy():
    program = (
        "import sys; before = set(sys.modules); import client.wire.contract; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(found) - sys.stdlib_module_names <= {"client", "numpy"}
