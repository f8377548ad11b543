"""An environment as ``pip install '.[client]'`` leaves it, made of the one that tests run in.

A fresh one would take a minute and a package index. Here every package that the extra does not
bring is as if it were not installed, in all processes that have the folder in PYTHONPATH.
"""

import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import PROJECT

_SITE_CUSTOMIZE = """
import sys

HIDDEN = {hidden!r}


class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Hidden)
"""


def hide_all_but(extra: str, folder: Path, *besides: str) -> set[str]:
    """Write a ``sitecustomize.py`` there; gives the names of the modules that it hides.

    ``besides`` are distributions that are not hidden either.
    """
    kept = _closure(extra) | set(besides)
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if not kept & set(map(canonicalize_name, distributions))
    }
    (folder / "sitecustomize.py").write_text(_SITE_CUSTOMIZE.format(hidden=sorted(hidden)))
    return hidden


def _closure(extra: str) -> set[str]:
    """The distributions that the project's extra installs, by their normalised names."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"][extra]]
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = list(map(Requirement, asked))
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in found:
            continue
        found.add((name, extras))
        needed = map(Requirement, requires(name) or ())
        waiting += [each for each in needed if _applies(each, extras)]
    return {canonicalize_name(project["name"]), *(name for name, _ in found)}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
