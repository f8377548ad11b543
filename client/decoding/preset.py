"""Decoder presets: a decoder's options in a JSON file, and for which model they were chosen.

Tuning writes them. Paths in a preset are relative to its folder, so that preset and language model
can move together::

    {"version": 1, "decoder": "beam", "options": {"lm": "3-gram.binary", "alpha": 0.7, …},
     "checkpoint_sha256": "…", "tuning": {…}}

Of several language models, ``"lm"`` is ``[{"path": "a.binary", "weight": 1.0}, …]``.
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
from .options import (
    DECODERS,
    BeamOptions,
    DecoderOptions,
    GreedyOptions,
    Hotword,
    PyctcdecodeOptions,
    SearchOptions,
    WeightedLm,
    changed,
)

PRESET_VERSION: Final = 1
_PATHS: Final = ("lm", "unigrams")


@dataclass(frozen=True)
class Preset:
    """A choice of decoder: a ``beam`` search, or for ``None`` greedy decoding with ``greedy``.

    ``checkpoint_sha256`` names the acoustic model it was chosen for, empty for any; ``tuning`` is
    the record of how.
    """

    beam: BeamOptions | PyctcdecodeOptions | None
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
        raise DecoderError.of(path, f"cannot read the decoder preset: {error.strerror}") from error
    except ValueError as error:
        raise DecoderError.of(path, f"is no decoder preset, expected JSON ({error})") from error
    if not isinstance(data, dict) or data.get("version") != PRESET_VERSION:
        raise DecoderError.of(
            path,
            f"is no decoder preset of version {PRESET_VERSION}, expected an object with"
            ' "version", "decoder" and "options": write one anew',
            options=("write_preset()",),
        )
    try:
        return _preset(path, data)
    except DecoderError as error:
        raise error.amended(message=f"{path}: {error.message}", path=path) from error


def write_preset(path: Path, preset: Preset) -> None:
    """Write a preset, options at their defaults left out, paths relative to its folder."""
    data: dict[str, Any] = {"version": PRESET_VERSION}
    data["decoder"] = preset.decoder.name
    if preset.beam is not None:
        data["options"] = _options_as_json(path, preset.beam)
    elif options := changed(preset.greedy):
        data["options"] = options
    if preset.checkpoint_sha256:
        data["checkpoint_sha256"] = preset.checkpoint_sha256
    if preset.tuning:
        data["tuning"] = dict(preset.tuning)
    path.write_text(json_text(data, indent=2) + "\n", encoding="utf-8")


def _preset(path: Path, data: Mapping[str, Any]) -> Preset:
    decoder, options = data.get("decoder"), data.get("options", {})
    if decoder not in tuple(DECODERS) or not isinstance(options, dict):
        raise DecoderError(
            f'"decoder" is {decoder!r} with "options" {options!r}, expected one of '
            f"{', '.join(DECODERS)} and an object"
        )
    chosen = _options(path, options, DECODERS[decoder])
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
        if name == "lm" and isinstance(value, list):
            return tuple(_language_model(path, each) for each in value)
        raise DecoderError(f"{name} is {value!r}, expected the path of a file")
    kinds = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
        raise DecoderError(f"{name} is {value!r}, expected a {type(default).__name__}")
    return value


def _language_model(path: Path, data: Any) -> WeightedLm:
    """One of several, its path relative to the current folder."""
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        with suppress(TypeError):  # of fields that it does not have
            return WeightedLm(**{**data, "path": path.parent / data["path"]})
    raise DecoderError(f'lm has {data!r}, expected {{"path": "…", "weight": 0.5}}')


def _options_as_json(path: Path, beam: SearchOptions) -> dict[str, Any]:
    data = changed(beam)
    # Weights stand there whatever the defaults: they are what a preset is for.
    data |= {name: getattr(beam, name) for name in ("alpha", "beta", "beam_width")}
    for name in _PATHS:
        if name not in data:
            continue
        value = data[name]
        if isinstance(value, tuple):
            data[name] = [asdict(each) | {"path": _relative(each.path, path)} for each in value]
        else:
            data[name] = _relative(value, path)
    if "hotwords" in data:
        data["hotwords"] = [asdict(hotword) for hotword in beam.hotwords]
    return data


def _relative(file: Path | str, preset: Path) -> str:
    # Of resolved paths: ".." after a symbolic link leads elsewhere than it reads.
    return os.path.relpath(Path(file).resolve(), preset.parent.resolve())
