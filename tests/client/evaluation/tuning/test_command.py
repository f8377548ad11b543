"""The command's arguments and what it says before it asks any server."""

import subprocess
import sys

import pytest

from client.__main__ import main

REQUIRED = ["--model", "demo", "--manifest", "m.jsonl", "--lm", "lm.arpa", "--output", "p.json"]


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_status:
        main(["tune", *REQUIRED, *arguments])
    assert exit_status.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("package", ["optuna", "matplotlib"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, capsys, package):
    for module in ("client.evaluation.tuning.study", "client.evaluation.tuning.heat_map"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["tune", *REQUIRED, "--plot", "map.png"]) == 1
    error = capsys.readouterr().err
    assert f"tuning needs the package {package}, which is not installed" in error
    assert "pip install '.[tune]'" in error
    assert "make extras EXTRAS=tune" in error


def test_help_needs_neither_package():
    program = (
        "import sys; sys.modules['optuna'] = sys.modules['matplotlib'] = None\n"
        "from client.__main__ import main; main(['tune', '-h'])"
    )
    said = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert "--held-out" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trials", "0"], "'0': expected a whole number of at least 1"),
        (["--threads", "two"], "'two': expected a whole number of at least 1"),
        (["--beam-width", "10", "0"], "'0': expected a whole number of at least 1"),
        (["--seed", "-1"], "'-1': expected a whole number of at least 0"),
        (["--plot", "map.gif"], "map.gif does not end in .png, .pdf, .svg"),
        (["--output", "gone/p.json"], "gone/p.json: expected a file in a folder that exists"),
        (["--alpha", "1"], "unrecognized arguments: --alpha"),
        (["--nbest", "3"], "unrecognized arguments: --nbest"),
        (["--strict-audio"], "unrecognized arguments: --strict-audio"),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(capsys, arguments, said):
    assert said in refused(capsys, *arguments)


def test_options_of_the_search_are_checked_before_anything_else(capsys):
    assert main(["tune", *REQUIRED, "--hotword", "a=1000", "--token-min-logp", "1"]) == 1
    error = capsys.readouterr().err
    assert "hotword 'a' has weight 1000" in error
    assert "token_min_logp 1.0 is not < 0" in error
