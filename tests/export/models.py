"""Small random models: the families' own, and variants that tests need."""

from export.checkpoint import Checkpoint
from export.verification.random_models import (
    LABELS,
    SHA256,
    SMALL,
    Architecture,
    block,
    convolutional,
    fastconformer,
    preprocessor,
    random_checkpoint,
)

__all__ = [
    "LABELS",
    "SHA256",
    "SMALL",
    "VARIANTS",
    "block",
    "convolutional",
    "fastconformer",
    "quartznet",
    "small",
    "variant",
]


def small(family: str, seed: int = 0) -> Checkpoint:
    """The small model of one family."""
    return random_checkpoint(SMALL[family], seed)


def quartznet(labels: tuple[str, ...] = tuple(LABELS), seed: int = 0) -> Checkpoint:
    """Separable blocks, 80 features, a frame every 20 ms."""
    architecture = SMALL["quartznet"]
    renamed = Architecture(
        architecture.name, "", architecture.preprocessor, architecture.encoder, labels=labels
    )
    return random_checkpoint(renamed, seed)


def variant(encoder: dict, features: dict | None = None, **settings) -> Checkpoint:
    """A model with ``encoder`` behind mel features, of 80 bands unless said otherwise."""
    return random_checkpoint(
        Architecture("variant", "", features or preprocessor(80), encoder, **settings)
    )


VARIANTS = {
    "strided_last": lambda: variant(
        convolutional(
            block(24, 11, stride=[2]),
            block(24, 5, repeat=2, stride=[2], stride_last=True, separable=True),
            block(32, 1),
        )
    ),
    "cache_aware_fastconformer": lambda: variant(
        fastconformer(
            32, 2, 4,
            att_context_size=[70, 13], att_context_style="chunked_limited",
            causal_downsampling=True, conv_context_size="causal", conv_norm_type="layer_norm",
        ),
        preprocessor(80, normalize="NA", pad_to=0),
        subwords=64,
    ),
    "local_context_conformer": lambda: variant(fastconformer(32, 2, 4, att_context_size=[20, 10])),
    "absolute_positions": lambda: variant(
        fastconformer(32, 2, 4, self_attention_model="abs_pos", xscaling=False)
    ),
    "character_hybrid": lambda: variant(fastconformer(32, 2, 4), hybrid=True),
}  # fmt: skip
"""Encoders that NeMo users have and the families' small models do not show."""
