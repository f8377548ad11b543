"""The families of encoders that are exported. A new one is a line here and a traceable module."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from nemo.collections.asr.modules import ConformerEncoder as NemoConformerEncoder
from nemo.collections.asr.modules import ConvASREncoder, RNNEncoder
from nemo.core.classes.mixins.adapter_mixins import get_registered_adapter
from torch import nn

from export.errors import CheckpointError
from export.modules import conformer, convolutional, recurrent
from export.modules.conformer import ConformerEncoder
from export.modules.convolutional import ConvolutionalEncoder
from export.modules.recurrent import RecurrentEncoder


@dataclass(frozen=True)
class Family:
    """Encoders of one NeMo class.

    ``traceable`` makes a traceable module of an encoder and the most feature frames of an
    utterance; ``objections`` name what cannot be made traceable. ``max_duration_s`` is the default
    limit of an utterance.
    """

    name: str
    encoder: type[nn.Module]
    traceable: Callable[[Any, int], nn.Module]
    objections: Callable[[Any], Iterator[str]]
    max_duration_s: Callable[[Any], int]


LINEAR_S: Final = 120
"""A batch is padded to its longest utterance, so its memory bounds the duration. 16 times 120 s
take about 1 GB in the preprocessor, and 9 GB in FastConformer large (computed from one file)."""
SQUARE_S: Final = 60
"""The memory of attention to all frames grows with the square of the duration."""

FAMILIES: Final = (
    Family(
        "Jasper, QuartzNet, Citrinet",
        ConvASREncoder,
        lambda encoder, _: ConvolutionalEncoder(encoder),
        convolutional.objections,
        max_duration_s=lambda _: LINEAR_S,
    ),
    Family(
        "Conformer-CTC, FastConformer-CTC",
        NemoConformerEncoder,
        ConformerEncoder,
        conformer.objections,
        max_duration_s=lambda encoder: LINEAR_S if conformer.is_local(encoder) else SQUARE_S,
    ),
    Family(
        "LSTM-CTC",
        RNNEncoder,
        lambda encoder, _: RecurrentEncoder(encoder),
        recurrent.objections,
        max_duration_s=lambda _: LINEAR_S,
    ),
)
SUPPORTED: Final = ", ".join(family.name for family in FAMILIES)


def family_of(encoder: nn.Module) -> Family:
    """The family of ``encoder``; raises ``CheckpointError`` when it belongs to none."""
    # An encoder with adapters is of a class of its own, which NeMo registers for the plain one.
    registered = get_registered_adapter(type(encoder))
    kind = type(encoder) if registered is None else registered.base_class
    for family in FAMILIES:
        if kind is family.encoder:
            return family
    raise CheckpointError(
        f"its encoder is of class {type(encoder).__name__} (exported: {SUPPORTED})"
    )
