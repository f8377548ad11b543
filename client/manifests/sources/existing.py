"""A manifest that exists already, to see whether it holds what it says."""

import math
from pathlib import Path

from ...errors import ManifestError
from ...utils.utf8 import holds
from ..manifest import Entry, duration_of, read_manifest
from .source import Fault, Found, Problem, Utterance


def read_existing(path: Path) -> Found:
    """Each line's utterance; raises ``ManifestError`` when the file cannot be read.

    Without ``offset`` the recording is meant to be as long as ``duration``, which NeMo requires.
    With one, the piece goes to the end where ``duration`` is 0, ``null`` or missing.
    """
    for entry in read_manifest(path):
        where = f"{path} line {entry.line}"
        try:
            yield _utterance(where, entry)
        except ManifestError as error:
            reason = str(error).removeprefix(f"{where}: ")
            yield Problem(where, reason, Fault.MALFORMED)


def _utterance(where: str, entry: Entry) -> Utterance:
    if isinstance(entry.item, ManifestError):
        raise entry.item
    if halves := [name for name, value in entry.fields.items() if not holds({name: value})]:
        raise ManifestError(
            f"{', '.join(map(repr, halves))}: UTF-8 cannot hold it (half a character, or a file "
            "name in another encoding): write whole characters, rename the file"
        )
    audio, text = Path(str(entry.item.source)), entry.text()
    if entry.fields.get("offset") is not None:
        return Utterance(where, audio, text, entry.item.offset_s, entry.item.duration_s)
    duration_s = duration_of(entry)
    if not 0 < duration_s < math.inf:
        raise ManifestError(
            f"duration is {entry.fields.get('duration')!r}, expected seconds above 0"
        )
    return Utterance(where, audio, text, None, duration_s)
