"""Decoder presets: a decoder's options in a JSON file, and for which model they were chosen.

``nemo-ctc tune`` writes them, ``--decoder-config`` reads them. Paths in a preset are
relative to its folder, so that preset and language model can move together::

    {"version": 1, "decoder": "beam", "options": {"lm": "3-gram.binary", "alpha": 0.7, …},
     "checkpoint_sha256": "…", "tuning": {…}}
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from ..errors import DecoderError
from ..utils.utf8 import json_text
from .options import BeamOptions, DecoderOptions, GreedyOptions, Hotword

PRESET_VERSION: Final = 1
_PATHS: Final = ("lm", "unigrams")


@dataclass(frozen=True)
class Preset:
    """A choice of decoder: ``beam`` options, or for ``None`` greedy decoding with ``greedy``.

    ``checkpoint_sha256`` names the acoustic model it was chosen for, empty for any; ``tuning`` is
    the record of how.
    """

    beam: BeamOptions | None
    checkpoint_sha256: str = ""
    tuning: Mapping[str, Any] = field(default_factory=dict)
    greedy: GreedyOptions = field(default_factory=GreedyOptions)

    @property
    def decoder(self) -> DecoderOptions:
        """The options of the decoder that is chosen."""
        return self.beam or self.greedy


def read_preset(path: Path) -> Preset:
    """Read a preset; its paths become relative to the current folder.

    Raises ``DecoderError`` when it cannot be read, is malformed, or holds options that do not
    exist or make no sense.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DecoderError(f"{path}: cannot read the decoder preset: {error.strerror}") from error
    except ValueError as error:
        raise DecoderError(f"{path}: is no decoder preset, expected JSON ({error})") from error
    if not isinstance(data, dict) or data.get("version") != PRESET_VERSION:
        raise DecoderError(
            f"{path}: is no decoder preset of version {PRESET_VERSION}, expected an object with"
            ' "version", "decoder" and "options", as `nemo-ctc tune` writes it'
        )
    try:
        return _preset(path, data)
    except DecoderError as error:
        raise DecoderError(f"{path}: {error}") from error


def write_preset(path: Path, preset: Preset) -> None:
    """Write a preset, options at their defaults left out, paths relative to its folder."""
    data: dict[str, Any] = {"version": PRESET_VERSION}
    data["decoder"] = "greedy" if preset.beam is None else "beam"
    if preset.beam is not None:
        data["options"] = _options_as_json(path, preset.beam)
    elif changed := _changed(preset.greedy):
        data["options"] = changed
    if preset.checkpoint_sha256:
        data["checkpoint_sha256"] = preset.checkpoint_sha256
    if preset.tuning:
        data["tuning"] = dict(preset.tuning)
    path.write_text(json_text(data, indent=2) + "\n", encoding="utf-8")


def _preset(path: Path, data: Mapping[str, Any]) -> Preset:
    decoder, options = data.get("decoder"), data.get("options", {})
    if decoder not in ("greedy", "beam") or not isinstance(options, dict):
        raise DecoderError(
            f'"decoder" is {decoder!r} with "options" {options!r}, expected "greedy" or "beam" and'
            " an object"
        )
    chosen = _options(path, options, BeamOptions if decoder == "beam" else GreedyOptions)
    checkpoint, tuning = data.get("checkpoint_sha256", ""), data.get("tuning", {})
    if not isinstance(checkpoint, str) or not isinstance(tuning, dict):
        raise DecoderError(
            f'"checkpoint_sha256" is {checkpoint!r} and "tuning" {tuning!r}, expected a text and an'
            " object"
        )
    if isinstance(chosen, GreedyOptions):
        return Preset(None, checkpoint, tuning, chosen)
    return Preset(chosen, checkpoint, tuning)


def _options(path: Path, data: Mapping[str, Any], kind: type[DecoderOptions]) -> DecoderOptions:
    known = {option.name: option.default for option in fields(kind)}
    if unknown := sorted(set(data) - set(known)):
        raise DecoderError(
            f"unknown options {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    return kind(**{name: _value(path, name, data[name], known[name]) for name in data})


def _value(path: Path, name: str, value: Any, default: Any) -> Any:
    """An option's value as the options hold it, of the same type as its default."""
    if name == "hotwords":
        if isinstance(value, list) and all(isinstance(hotword, dict) for hotword in value):
            with suppress(TypeError):  # of fields that a hotword does not have
                return tuple(Hotword(**hotword) for hotword in value)
        raise DecoderError(f'hotwords is {value!r}, expected [{{"text": "…", "weight": 8}}, …]')
    if name in _PATHS:
        if value is None:
            return None
        if isinstance(value, str):
            return path.parent / value
        raise DecoderError(f"{name} is {value!r}, expected the path of a file")
    kinds = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
        raise DecoderError(f"{name} is {value!r}, expected a {type(default).__name__}")
    return value


def _options_as_json(path: Path, beam: BeamOptions) -> dict[str, Any]:
    changed = _changed(beam)
    # Weights stand there whatever the defaults: they are what a preset is for.
    changed |= {name: getattr(beam, name) for name in ("alpha", "beta", "beam_width")}
    for name in _PATHS:
        if name in changed:
            # Of resolved paths: ".." after a symbolic link leads elsewhere than it reads.
            target, folder = Path(changed[name]).resolve(), path.parent.resolve()
            changed[name] = os.path.relpath(target, folder)
    if "hotwords" in changed:
        changed["hotwords"] = [asdict(hotword) for hotword in beam.hotwords]
    return changed


def _changed(options: DecoderOptions) -> dict[str, Any]:
    values = ((option, getattr(options, option.name)) for option in fields(options))
    return {option.name: value for option, value in values if value != option.default}
