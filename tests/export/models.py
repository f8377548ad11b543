"""Small random models: the families' own, and variants that tests need."""

import torch
from nemo.collections.asr.parts.submodules.adapters import (
    RelPositionMultiHeadAttentionAdapterConfig,
)
from nemo.collections.common.parts.adapter_modules import LinearAdapterConfig
from omegaconf import OmegaConf

from export.checkpoint import Checkpoint
from export.verification.random_models import (
    LABELS,
    SHA256,
    SMALL,
    Architecture,
    block,
    conformer,
    convolutional,
    fastconformer,
    local_attention,
    lstm,
    preprocessor,
    random_checkpoint,
)

__all__ = [
    "LABELS",
    "SHA256",
    "SMALL",
    "VARIANTS",
    "adapted",
    "block",
    "conformer",
    "convolutional",
    "fastconformer",
    "local_attention",
    "lstm",
    "quartznet",
    "small",
    "variant",
    "with_changed_attention",
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


def adapted(encoder: dict, *adapters: str, enabled: bool = True) -> Checkpoint:
    """A model whose parts have ``adapters``, each named as NeMo does: ``encoder:mha``.

    Their weights are drawn: NeMo begins with adapters that change nothing.
    """
    checkpoint = variant({**encoder, "_target_": encoder["_target_"] + "Adapter"})
    for name in adapters:
        config = (
            RelPositionMultiHeadAttentionAdapterConfig(n_head=4, n_feat=encoder["d_model"])
            if name.endswith("mha")
            else LinearAdapterConfig(in_features=0, dim=8)  # NeMo fills in_features in
        )
        checkpoint.model.add_adapter(name, OmegaConf.structured(config))
        checkpoint.model.set_enabled_adapters(name, enabled=enabled)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in checkpoint.model.named_parameters():
        if "adapter" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    checkpoint.model.eval()
    return checkpoint


def with_changed_attention(context: list[int]) -> Checkpoint:
    """A model trained with attention to all frames, set to a window by NeMo's own method."""
    dropouts = dict.fromkeys(("dropout", "dropout_att", "dropout_emb"), 0.1)
    checkpoint = variant(fastconformer(32, 2, 4, **dropouts))
    checkpoint.model.change_attention_model("rel_pos_local_attn", context)
    checkpoint.model.eval()
    return checkpoint


def _clamped(guard: float | str, **settings) -> Checkpoint:
    """A model whose energies are raised to ``guard`` before their logarithm."""
    features = preprocessor(80, log_zero_guard_type="clamp", log_zero_guard_value=guard, **settings)
    return variant(SMALL["quartznet"].encoder, features)


VARIANTS = {
    "strided_last": lambda: variant(
        convolutional(
            block(24, 11, stride=[2]),
            block(24, 5, repeat=2, stride=[2], stride_last=True, separable=True),
            block(32, 1),
        ),
        preprocessor(80, normalize="all_features"),
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
    "changed_attention": lambda: with_changed_attention([12, 5]),
    "window_to_the_right": lambda: variant(
        fastconformer(32, 2, 4, self_attention_model="rel_pos_local_attn", att_context_size=[0, 6])
    ),
    "global_token": lambda: variant(
        fastconformer(32, 2, 4, **local_attention(5, global_tokens=1, use_bias=False))
    ),
    "separate_global_tokens": lambda: variant(
        fastconformer(
            32, 2, 4,
            **local_attention(
                5, global_tokens=2, global_tokens_spacing=5, global_attn_separate=True
            ),
        )
    ),
    "stacking": lambda: variant(fastconformer(32, 2, 4, subsampling="stacking")),
    "stacking_norm": lambda: variant(
        conformer(32, 2, 4, subsampling="stacking_norm", subsampling_factor=3),
        preprocessor(80, normalize="NA", pad_value=3.0),
    ),
    "lstm_of_one_direction": lambda: variant(
        lstm(48, 2, 24, bidirectional=False, subsampling="striding")
    ),
    "lstm_without_subsampling": lambda: variant(lstm(40, 1, 24, subsampling_factor=1)),
    "group_norm": lambda: variant(fastconformer(32, 2, 4, conv_norm_type="group_norm4")),
    "odd_fft": lambda: variant(SMALL["quartznet"].encoder, preprocessor(80, n_fft=511)),
    "clamped": lambda: _clamped(1e-5),
    "clamped_at_tiny": lambda: _clamped("tiny", normalize="all_features"),
    "clamped_without_normalisation": lambda: _clamped("eps", normalize="NA"),
    "conformer_with_adapters": lambda: adapted(
        fastconformer(32, 2, 4), "encoder:linear", "encoder:mha", "decoder:head"
    ),
    "quartznet_with_adapters": lambda: adapted(SMALL["quartznet"].encoder, "encoder:linear"),
    "quartznet_with_disabled_adapters": lambda: adapted(
        SMALL["quartznet"].encoder, "encoder:linear", enabled=False
    ),
    "character_hybrid": lambda: variant(fastconformer(32, 2, 4), hybrid=True),
}  # fmt: skip
"""Encoders that NeMo users have and the families' small models do not show."""
