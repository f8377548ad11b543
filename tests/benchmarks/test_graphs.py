"""``python -m benchmarks graphs`` on real graphs: what it prints, writes, and refuses."""

import json

import pytest

from benchmarks.__main__ import main
from tests.benchmarks.models import write_pipeline

QUICK = ["--repeats", "3", "--seconds", "0.5", "--batch", "2", "--threads", "1"]


@pytest.mark.parametrize("stage", ["encoder", "pipeline"])
def test_models_are_compared_in_a_table_and_in_json(repository, tmp_path, capsys, stage):
    output = tmp_path / "speeds.json"
    arguments = ["one", "two", "--repository", str(repository), "--stage", stage, *QUICK]
    assert main(["graphs", *arguments, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert f"{stage}, batch of 2 x 0.5 s, 1 threads, 3 rounds" in " ".join(printed.split())
    report = json.loads(output.read_text())
    assert [speed["name"] for speed in report["speeds"]] == ["one", "two"]
    assert report["speeds"][0]["ratio"] == 1
    for speed in report["speeds"]:
        assert speed["runs"] == 3
        assert speed["rtfx_low"] <= speed["rtfx"] <= speed["rtfx_high"]
        assert speed["rtfx"] == pytest.approx(1.0 / speed["wall_median_s"])
        assert f"{speed['rtfx']:.1f}" in printed
    assert report["command"].startswith("python -m benchmarks graphs one two")
    assert {"onnxruntime", "numpy"} <= set(report["packages"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "no model 'none'"),
        (["one_encoder"], "'one_encoder' carries no contract"),
        (["one", "--provider", "cuda"], "install onnxruntime-gpu in its place"),
    ],
)
def test_what_cannot_be_measured_is_an_error(repository, capsys, arguments, message):
    assert main(["graphs", *arguments, "--repository", str(repository), *QUICK]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "one"], "each NAME once"),
        (["one", "--seconds", "0"], "expected a number above 0"),
        (["one", "--repeats", "-1"], "expected a number above 0"),
        (["one", "--threads", "-1"], "expected a number of threads"),
        (["one", "--stage", "decoder"], "invalid choice: 'decoder'"),
        ([], "NAME"),
    ],
)
def test_a_wrong_command_line_is_explained(repository, capsys, arguments, message):
    with pytest.raises(SystemExit) as usage:
        main(["graphs", *arguments, "--repository", str(repository)])
    assert usage.value.code == 2
    assert message in capsys.readouterr().err


def test_a_graph_that_does_not_load_is_named(tmp_path, capsys):
    write_pipeline(tmp_path, "broken")
    (tmp_path / "broken_encoder" / "1" / "model.onnx").write_bytes(b"no graph")
    assert main(["graphs", "broken", "--repository", str(tmp_path), *QUICK]) == 1
    assert "cannot load" in capsys.readouterr().err
