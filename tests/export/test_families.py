"""The table of docs/verification.md is made of what verification found, good or bad."""

import pytest

from export.build import build, gate_record
from export.errors import ParityError
from export.verification.families import FULL_SIZE, NAME, SUBJECTS, write_table
from tests.export.support import quick_build


@pytest.fixture(scope="module")
def result(quartznet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("families") / "repository"
    gate = gate_record(build(quartznet, quick_build(folder)).verification, forced=False)
    return {
        "model": "QuartzNet 15x5",
        "configuration": "quartznet.yaml",
        "precision": "fp32",
        "parameters": 18_900_000,
        "date": "2026-01-01",
        "tools": {"torch": "1"},
        "gate": gate | {"batches": {f"{NAME}_encoder": {"1": 3, "16": 2}}},
    }


def rows(path):
    lines = path.read_text().splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "| " in line]


def test_a_row_says_what_was_measured_in_which_batches(result, tmp_path):
    write_table({"quartznet-fp32": result}, tmp_path / "table.md")
    (row,) = [row for row in rows(tmp_path / "table.md") if row[0].startswith("QuartzNet")]
    largest = result["gate"]["largest"]
    assert row[1:3] == ["18.9 M", "fp32"]
    assert row[3:6] == [f"{largest[what]:.1e}" for what in ("features", "log_probs", "batch")]
    assert row[7:] == ["100.00%", str(result["gate"]["utterances"]), "1, 16", "yes"]


def test_a_failure_stands_in_the_table(result, tmp_path):
    failed = result | {"gate": result["gate"] | {"passed": False}}
    write_table({"quartznet-fp32": failed}, tmp_path / "table.md")
    assert rows(tmp_path / "table.md")[1][-1] == "**no**"


def test_results_of_something_unknown_are_refused(result, tmp_path):
    with pytest.raises(ParityError, match="results of mystery"):
        write_table({"mystery": result}, tmp_path / "table.md")


def test_every_family_is_verified_in_fp32_and_fp16():
    for family in FULL_SIZE:
        assert {f"{family}-fp32", f"{family}-fp16"} <= set(SUBJECTS)
