"""A manifest that exists already, to see whether it holds what it says."""

import math
from pathlib import Path

from client.errors import ManifestError
from client.manifest import duration_of, read_manifest
from client.manifest_sources.source import Fault, Found, Problem, Utterance


def read_existing(path: Path) -> Found:
    """Each line's utterance; raises :class:`ManifestError` when the file cannot be read.

    Without ``offset`` the recording is meant to be as long as ``duration``, which NeMo requires.
    """
    for entry in read_manifest(path):
        where = f"{path} line {entry.line}"
        fields = entry.fields
        duration_s = duration_of(entry)
        if isinstance(entry.item, ManifestError):
            reason = str(entry.item).removeprefix(f"{where}: ")
            yield Problem(where, reason, Fault.MALFORMED)
        elif not 0 < duration_s < math.inf:
            reason = f"duration is {fields.get('duration')!r}, expected seconds above 0"
            yield Problem(where, reason, Fault.MALFORMED)
        else:
            offset_s = None if fields.get("offset") is None else entry.item.offset_s
            audio = path.parent / fields["audio_filepath"]
            yield Utterance(where, audio, fields.get("text"), offset_s, duration_s)
