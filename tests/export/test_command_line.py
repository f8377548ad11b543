"""``python -m export``: quick help, one line for each failure, and an exit status."""

import ast
import errno
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

import export
from export.__main__ import main
from export.record import DISTRIBUTION
from export.repository import CONFIG_FILE
from tests.export.support import NAME, contents

HEAVY = ("torch", "nemo", "onnx", "onnxruntime")
COMMANDS = ("build", "verify", "inspect", "configure", "engine")
PACKAGE = Path(export.__file__).parent
COMMAND_LINE = (
    *("__main__.py", "arguments.py", "serving_options.py", "engine/command.py"),
    "verification/__main__.py",
)
FLAG = re.compile(r"\s--(?!gpus)[a-z]|\brun `?make\b")  # Docker's --gpus is another program's


def build_arguments(checkpoint, repository, name=NAME):
    return [
        *("build", "--checkpoint", str(checkpoint)),
        *(f"--name={name}", "--repository", str(repository), "--without-triton"),
    ]


@pytest.mark.parametrize("arguments", [["-h"], ["build", "-h"], ["verify", "-h"]], ids=str)
def test_help_does_not_wait_for_torch(arguments):
    code = (
        "import sys\n"
        "from export.__main__ import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "finally:\n"
        f"    print(sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "usage: python -m export" in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["build"],
        ["build", "--checkpoint", "a.nemo"],
        ["build", "--checkpoint", "a", "--name", "a", "--repository", "r", "--precision", "fp7"],
        *(
            ["build", *("--checkpoint", "a", "--name", "a", "--repository", "r"), duration]
            for duration in (
                "--max-duration=nan",
                "--max-duration=inf",
                "--max-duration=-5",
                "--max-duration=1e9",
                "--max-duration=long",
            )
        ),
    ],
    ids=str,
)
def test_wrong_usage_exits_with_2_and_says_in_a_line_what_is_wrong(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    program = " ".join(["python -m export", *arguments[:1]])
    wrong, hint = capsys.readouterr().err.splitlines()
    assert wrong.startswith("export: ")
    assert hint == f"hint: {program} -h explains the options"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=str)
def test_help_is_plain_text_with_a_heading_over_the_commands(command, capsys):
    with pytest.raises(SystemExit):
        main([*command, "-h"])
    shown = capsys.readouterr().out
    assert "``" not in shown
    if not command:
        assert "\ncommands:\n" in shown
        assert all(f"\n    {name}" in shown for name in COMMANDS)


def test_the_version_is_the_installed_distributions(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"{DISTRIBUTION} {version(DISTRIBUTION)}\n"


def literals(path):
    """The texts in a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in statements:
            yield str(node.value)


def test_only_the_command_line_speaks_of_flags_and_make():
    others = sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / name for name in COMMAND_LINE})
    assert len(others) > 50
    said = {path.name: text for path in others for text in literals(path) if FLAG.search(text)}
    assert said == {}


def test_the_command_line_adds_its_flags_to_an_error_that_names_python_options(
    nemo_file, tmp_path, capsys
):
    command = build_arguments(nemo_file, tmp_path / "repository")
    assert main([*command, "--max-duration", "0.001"]) == 1
    assert capsys.readouterr().err.endswith("expected 0.02 to 7200 s (--max-duration)\n")


def test_a_bad_checkpoint_is_one_line_on_stderr_and_leaves_the_repository(tmp_path):
    checkpoint = tmp_path / "bad.nemo"
    checkpoint.write_text("not an archive")
    repository = tmp_path / "repository"
    (repository / NAME).mkdir(parents=True)
    (repository / NAME / CONFIG_FILE).write_text("old")
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "export", *build_arguments(checkpoint, repository)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("export: ")
    assert "bad.nemo is not a .nemo file" in line
    assert contents(tmp_path) == before


MISTAKES = {
    "no checkpoint file": ["--checkpoint=gone.nemo"],
    "cannot name a model": ["--name=a b"],
    "gone.jsonl": ["--manifest=gone.jsonl"],
    "is a file": [f"--repository={__file__}"],
    "give --calibration-manifest": ["--precision=int8"],
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_cheap_mistake_does_not_wait_for_nemo(said, nemo_file, tmp_path, capsys, monkeypatch):
    def loaded():
        raise AssertionError("NeMo was loaded")

    monkeypatch.setattr("export.__main__.quiet_nemo", loaded)
    arguments = build_arguments(nemo_file, tmp_path / "repository") + MISTAKES[said]
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_where(nemo_file, tmp_path, capsys, monkeypatch):
    def full(_checkpoint):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("export.preflight.check_checkpoint", full)
    assert main(build_arguments(nemo_file, tmp_path / "repository")) == 1
    printed = capsys.readouterr().err
    assert f"{tmp_path} has " in printed
    assert f"{tempfile.gettempdir()} has " in printed


def test_build_writes_the_models_and_says_what_they_are(nemo_file, tmp_path, capsys):
    repository = tmp_path / "repository"
    assert main(build_arguments(nemo_file, repository)) == 0
    printed = capsys.readouterr().out
    assert str(repository / NAME) in printed
    assert "16000 Hz, 28 char units, a frame each 20 ms" in printed
    assert (repository / NAME / CONFIG_FILE).is_file()


@pytest.mark.parametrize("name", ["", "a b", "../a", ".hidden", "-a"])
def test_a_name_that_cannot_be_a_folder_is_refused(name, nemo_file, tmp_path, capsys):
    assert main(build_arguments(nemo_file, tmp_path / "repository", name)) == 1
    assert f"export: {name!r} cannot name a model" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_verify_without_a_built_model_says_to_build_it(nemo_file, tmp_path, capsys):
    status = main(
        ["verify", "--checkpoint", str(nemo_file), "--name", NAME, "--repository", str(tmp_path)]
    )
    assert status == 1
    assert "no model 'small'" in capsys.readouterr().err
