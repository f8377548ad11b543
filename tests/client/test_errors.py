"""Errors: their facts, how they travel, and who may speak of flags."""

import ast
import inspect
import pickle
import re
from importlib import import_module
from pathlib import Path

import pytest

import client
from client import errors
from client.commands.flags import FLAGS
from client.errors import AsrError, AudioError, ModelNotReady, ServerUnavailable
from client.manifests.sources.files import LeftOut

FOLDER = Path(client.__file__).parent
LIBRARY = [
    path
    for path in sorted(FOLDER.rglob("*.py"))
    if path.relative_to(FOLDER).parts[0] not in ("commands", "__main__.py")
]
COMMAND_LINE = re.compile(
    r"(?<![\w-])--[a-z][\w-]*(?![\w:-])|\bmake [a-z]+-[a-z]+|\bmake serve|nemo-ctc "
)
OPTION = re.compile(r"[A-Z][A-Za-z]+\.[a-z_]+|[a-z_]+\([a-z_]*\)")
HOMES = (
    "client",
    "bulk.ray_engine",
    "bulk.results",
    "decoding.options",
    "decoding.preset",
    "evaluation.evaluator",
    "evaluation.tuning.parts",
    "evaluation.tuning.tuner",
    "language_models.convert",
    "language_models.tools",
    "language_models.train",
    "manifests.sources",
    "wire.models",
)


def strings_of(path):
    """The string literals of a module, docstrings too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def every_kind():
    classes = (each for each in vars(errors).values() if isinstance(each, type))
    return [each for each in classes if issubclass(each, AsrError) and each.__name__[0] != "_"]


@pytest.mark.parametrize("kind", [*every_kind(), LeftOut], ids=lambda kind: kind.__name__)
def test_an_error_travels_with_its_attributes(kind):
    error = kind("told", options=("A.b",))
    for name in set(vars(error)) - {"message", "options"}:
        setattr(error, name, f"some {name}")
    error.add_note("a note")
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(arrived) is kind
    assert vars(arrived) == vars(error)
    assert str(arrived) == "told (A.b)"


def test_the_tree_at_the_top_draws_every_error():
    tree = errors.__doc__.partition("::\n\n")[2].partition("\n\n")[0]
    drawn = [line.strip("│├└─ ").partition(" ")[0] for line in tree.splitlines()]
    assert sorted(drawn) == sorted(kind.__name__ for kind in every_kind())


def test_an_amended_error_keeps_its_kind_its_other_facts_its_cause_and_its_notes():
    cause = OSError("why")
    error = ModelNotReady("not there", url="host:1", may_become_ready=True)
    error.__cause__ = cause
    error.add_note("a note")
    amended = error.amended(message="still not there", tries=3)
    assert (type(amended), amended.url, amended.tries) == (ModelNotReady, "host:1", 3)
    assert amended.may_become_ready
    assert amended.__cause__ is cause
    assert amended.__notes__ == ["a note"]
    assert (str(amended), str(error)) == ("still not there", "not there")


def test_an_unknown_fact_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError):
        AudioError("too long", colour="red")


def test_commands_name_flags_where_the_library_names_options():
    error = ServerUnavailable(
        "no answer: allow more time", options=("TransportOptions.timeout_s", "X.y")
    )
    assert str(error) == "no answer: allow more time (TransportOptions.timeout_s, X.y)"
    assert error.text(FLAGS) == "no answer: allow more time (--timeout, X.y)"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_the_library_names_no_flags_commands_or_make_targets(path):
    found = [text for text in strings_of(path) if COMMAND_LINE.search(text)]
    others = re.compile(r"--[a-z_]+").fullmatch  # an argument for another program
    assert [text for text in found if not others(text)] == []


def test_every_option_that_errors_name_has_its_flag_and_every_flag_an_error():
    named = {text for path in LIBRARY for text in strings_of(path) if OPTION.fullmatch(text)}
    assert named == set(FLAGS)


@pytest.mark.parametrize("option", FLAGS)
def test_the_options_that_errors_name_are_python(option):
    name, _, parameter = option.rstrip(")").replace("(", ".").partition(".")
    modules = [import_module(home if home == "client" else f"client.{home}") for home in HOMES]
    owner = next(getattr(module, name) for module in modules if hasattr(module, name))
    assert not parameter or parameter in inspect.signature(owner).parameters
