"""Outputs of the commands: checked before any work begins, so that none is wasted.

An output must not be one of the inputs, which it would destroy.
"""

import argparse
import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ..audio import Clip
from ..decoding.options import SearchOptions
from ..errors import OutputError
from ..manifests.manifest import read_manifest
from ..utils.files import check_folder, is_stream

STANDARD_OUTPUT: Final = Path("/dev/stdout")
_ITS_NAMES: Final = ("-", str(STANDARD_OUTPUT), "/dev/fd/1", "/proc/self/fd/1")


def add_output(parser: ArgumentParser, formats: tuple[str, ...], *, folder: bool = False) -> None:
    """``--output`` and ``--format``; the first format is the default.

    With ``folder`` the output may be one that exists. It is ``None`` for standard output.
    """
    kind = _file_or_folder if folder else _file_or_standard_output
    text = "write the results to this file (default, or -: standard output)"
    parser.add_argument("--output", type=kind, metavar="OUT", help=text)
    text = "of the results (default %(default)s)"
    parser.add_argument("--format", choices=formats, default=formats[0], help=text)


def output_path(text: str) -> Path:
    """A file that can be written, for argparse."""
    if text == "-":
        raise argparse.ArgumentTypeError(
            "- is standard output, expected a file (./- for one of this name)"
        )
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: expected a file in a folder that exists")
    if path.exists() and not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} exists and is not writable: check its mode")
    if not is_stream(path):
        _check_writable(path.resolve().parent)
    return path


def refuse_overwriting(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise ``OutputError`` where an output is an input, by whatever name, or another output.

    ``None`` is none. The ``inputs`` are looked at only if there is an output that exists.
    """
    files = [path for path in outputs if path is not None]
    places = [path.resolve() for path in files if not is_stream(path)]
    if len(set(places)) < len(places):
        raise OutputError(
            f"{files[-1]}: several outputs have this name, expected a different file for each"
        )
    there = {identity: path for path in files if (identity := _identity(path))}
    if not there:
        return
    for path in inputs:
        if path is not None and (identity := _identity(path)) in there:
            raise OutputError(
                f"{there[identity]}: is the input {path}, which the output would overwrite: "
                "choose another output"
            )


def language_files(beam: SearchOptions) -> Iterator[Path]:
    """The files that a beam search reads."""
    yield from (Path(model.path) for model in beam.language_models)
    if beam.unigrams is not None:
        yield Path(beam.unigrams)


def with_recordings(manifest: Path) -> Iterator[Path]:
    """A manifest and the recordings it names, if it can be read more than once."""
    yield manifest
    if not is_stream(manifest):
        clips = (entry.item for entry in read_manifest(manifest) if isinstance(entry.item, Clip))
        yield from (Path(str(clip.source)) for clip in clips)


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a regular file; ``None`` for anything else."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- also where the name cannot be one
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if path.is_file() else None


def _file_or_standard_output(text: str) -> Path | None:
    return None if text in _ITS_NAMES else output_path(text)


def _file_or_folder(text: str) -> Path | None:
    if not Path(text).is_dir():
        return _file_or_standard_output(text)
    _check_writable(Path(text))
    return Path(text)


def _check_writable(folder: Path) -> None:
    try:
        check_folder(folder)
    except OutputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
