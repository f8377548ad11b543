"""The configuration saved in a checkpoint, made fit for this NeMo and for an export.

Decoding and augmentation are left out: an export does not use them, and they may name files and
packages that are not here. Keys that NeMo dropped are left out too where they change nothing; any
other key that NeMo does not know is an objection.
"""

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, Final

from nemo.utils.model_utils import (
    convert_model_config_to_dict_config,
    import_class_by_path,
    maybe_update_config_version,
)
from omegaconf import DictConfig, OmegaConf

from export.errors import CheckpointError

_GREEDY: Final = ("greedy", "greedy_batch")
_TRANSDUCER: Final = ("model_type", "durations", "big_blank_durations")
"""The settings of a hybrid's transducer that NeMo needs to build it."""

_RETIRED: Final[dict[str, dict[str, Callable[[Any], bool]]]] = {
    "preprocessor": {
        # Log-mel features, the only kind that this class makes (NeMo issue 435).
        "feat_type": lambda value: value == "logfbank",
    },
    "encoder": {
        # Documented for streaming, read by no NeMo.
        "conv_dual_mode": lambda value: not value,
        # Of an unmerged branch (NeMo pull request 6476); "linear" has weights of other shapes.
        "conv_pointwise_type": lambda value: value != "linear",
    },
}
"""Keys of old checkpoints by section, and the values that leave the computation as it is."""


def parse_config(text: str, name: str) -> DictConfig:
    """The configuration in the text of ``model_config.yaml``, in the layout of today's NeMo.

    Raises ``CheckpointError`` when the text is no configuration.
    """
    try:
        config = OmegaConf.create(text)
        config = config.get("model", config)
        return maybe_update_config_version(convert_model_config_to_dict_config(config))
    except Exception as error:  # YAML and OmegaConf raise anything
        cause = str(error).partition("\n")[0]
        raise CheckpointError(
            f"the model_config.yaml in {name} is not a configuration of NeMo ({cause}): save the"
            " model again with NeMo's save_to"
        ) from error


def simplify(config: DictConfig) -> tuple[str, ...]:
    """Remove from ``config`` what an export does not use; returns notes on what was removed."""
    OmegaConf.set_struct(config, value=False)
    notes = [*_without_decoding(config), *_without_retired_keys(config)]
    config.pop("spec_augment", None)
    return tuple(notes)


def unknown_keys(config: DictConfig) -> Iterator[str]:
    """An objection for each key, and each class, that NeMo does not know in a part of the model."""
    nemo = f"NeMo {version('nemo_toolkit')}"
    for where, section in _parts(config):
        target = str(section.get("_target_"))
        try:
            # A checkpoint may name any module: only NeMo's own are imported.
            known = import_class_by_path(target) if target.startswith("nemo.") else None
        except (ImportError, AttributeError):
            known = None
        if known is None:
            yield f"{where} is of class {target}, which {nemo} does not have"
            continue
        parameters = inspect.signature(known.__init__).parameters
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            continue
        for key, value in section.items():
            if key not in parameters and not key.startswith("_"):
                yield (
                    f"{where}.{key} = {value!r} in its model_config.yaml is a key that {nemo} does"
                    " not know: if the model is the same without it, unpack the archive with tar,"
                    " remove the line and pack it again; otherwise load the model with the NeMo"
                    " that trained it and save it without"
                )


def _parts(config: DictConfig) -> Iterator[tuple[str, DictConfig]]:
    """The sections that NeMo makes modules of, with their names."""
    sections = {name: config.get(name) for name in ("preprocessor", "encoder", "decoder", "joint")}
    sections["aux_ctc.decoder"] = (config.get("aux_ctc") or {}).get("decoder")
    for name, section in sections.items():
        if isinstance(section, DictConfig):
            yield name, section


def _without_decoding(config: DictConfig) -> Iterator[str]:
    """Remove it, because NeMo decodes greedily by default; a transducer needs the section."""
    hybrid = config.get("aux_ctc")
    ctc = config if hybrid is None else hybrid
    where = "decoding" if hybrid is None else "aux_ctc.decoding"
    strategy = (ctc.pop("decoding", None) or {}).get("strategy", "greedy")
    if strategy not in _GREEDY:
        yield (
            f"{where}.strategy is {strategy!r}: left out, because an export ends with log_probs and"
            " is verified with greedy decoding; clients choose their own decoder"
        )
    if hybrid is not None:
        transducer = config.get("decoding") or {}
        kept = {key: transducer[key] for key in _TRANSDUCER if key in transducer}
        config.decoding = {"strategy": "greedy", "greedy": {"max_symbols": 10}, **kept}


def _without_retired_keys(config: DictConfig) -> Iterator[str]:
    for where, keys in _RETIRED.items():
        section = config.get(where) or {}
        for key, changes_nothing in keys.items():
            if key in section and changes_nothing(section[key]):
                yield (
                    f"{where}.{key} = {section.pop(key)!r}: left out, because this NeMo does not"
                    " know the key and computes the same without it"
                )
