"""An utterance as a line of a manifest."""

from pathlib import Path
from typing import Any, Final

from ...utils.utf8 import json_text
from .files import plain
from .measuring import Measured

_DECIMALS: Final = 3  # of seconds


def manifest_line(measured: Measured, folder: Path) -> str:
    """The line, with its end, for a manifest in ``folder``.

    Audio below the folder is named relative to it, other audio by its absolute path.
    """
    utterance = measured.utterance
    fields: dict[str, Any] = {
        "audio_filepath": _path_from(folder, utterance.audio),
        "duration": round(measured.duration_s, _DECIMALS),
        "text": utterance.text,
    }
    if utterance.offset_s is not None:
        fields["offset"] = round(utterance.offset_s, _DECIMALS)
    if utterance.speaker is not None:
        fields["speaker"] = utterance.speaker
    return json_text(fields) + "\n"


def _path_from(folder: Path, audio: Path) -> str:
    path, base = plain(audio), plain(folder)
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
