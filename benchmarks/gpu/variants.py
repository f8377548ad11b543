"""The ways of computing one model that are compared: ONNX Runtime and torch, in each precision.

What flows through all of them alike: features [B, F, T] and lengths [B, 1], which lie where they
are computed on, → tokens [B, S] on the host. Log-probabilities stay on the device, as they do when
a client asks for greedy text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.gpu.layout import REPOSITORY
from benchmarks.gpu.programs import DTYPES, Module, compiled, load_program, tf32
from benchmarks.measurement import Job
from benchmarks.pipeline import CUDA_OPTIONS, Array, Pipeline, RuntimeOptions, host
from client.wire.contract import FEATURES, FEATURES_LENGTH, LOG_PROBS, TOKENS


@dataclass(frozen=True)
class Variant:
    """One way. ``engine`` is ``ort``, ``eager`` or ``compiled``."""

    name: str
    engine: str
    precision: str
    tf32: bool = False


VARIANTS: Final = (
    Variant("ONNX Runtime fp32", "ort", "fp32"),
    Variant("ONNX Runtime TF32", "ort", "fp32", tf32=True),
    Variant("ONNX Runtime fp16", "ort", "fp16"),
    Variant("torch eager fp32", "eager", "fp32"),
    Variant("torch eager TF32", "eager", "fp32", tf32=True),
    Variant("torch eager fp16", "eager", "fp16"),
    Variant("torch compiled TF32", "compiled", "fp32", tf32=True),
    Variant("torch compiled fp16", "compiled", "fp16"),
)
"""TF32 is what ONNX Runtime, and so Triton, computes float32 products in unless told otherwise."""


def variants_for(provider: str) -> list[Variant]:
    """Those that are worth their time: TF32 is a GPU's, and a compiled program a CPU's last."""
    if provider == "cuda":
        return list(VARIANTS)
    return [variant for variant in VARIANTS if variant.engine != "compiled" and not variant.tf32]


class Contestants:
    """The variants of the model in the bundle's ``folder``, each loaded when first asked for."""

    def __init__(self, folder: Path, provider: str) -> None:
        self._folder = folder
        self._provider = provider
        self._device = torch.device(provider)
        self._pipelines: dict[tuple[str, bool], Pipeline] = {}
        self._modules: dict[tuple[str, str], Module] = {}

    def pipeline(self, precision: str, *, tf32: bool = False) -> Pipeline:
        """The graphs of one precision in ONNX Runtime."""
        if (precision, tf32) not in self._pipelines:
            settings = {**CUDA_OPTIONS, "use_tf32": str(int(tf32))}
            self._pipelines[precision, tf32] = Pipeline(
                self._folder / REPOSITORY,
                f"{self._folder.name}_{precision}",
                RuntimeOptions(self._provider, cuda_options=tuple(settings.items())),
            )
        return self._pipelines[precision, tf32]

    def job(self, variant: Variant, utterances: list[Array]) -> Job:
        """Features of ``utterances``, computed once, to tokens on the host."""
        if variant.engine == "ort":
            pipeline = self.pipeline(variant.precision, tf32=variant.tf32)
            features = pipeline.features(utterances)
            return lambda: host(pipeline.acoustic(features), (TOKENS,))
        inputs = self._torch_inputs(variant, self.features(utterances))
        return partial(self._torch_tokens, variant, inputs)

    def log_probs(self, variant: Variant, features: Mapping[str, Array]) -> Array:
        """Log-probabilities for ``features`` on the host; float32 [B, S, V]."""
        if variant.engine == "ort":
            pipeline = self.pipeline(variant.precision, tf32=variant.tf32)
            return host(pipeline.acoustic(pipeline.values(features)), (LOG_PROBS,))[LOG_PROBS]
        scores = self._torch(variant, self._torch_inputs(variant, features))[1]
        array: Array = scores.float().cpu().numpy()
        return array

    def features(self, utterances: list[Array]) -> dict[str, Array]:
        """What the preprocessor's graph makes of ``utterances``, on the host."""
        values = self.pipeline("fp32").features(utterances)
        return host(values, (FEATURES, FEATURES_LENGTH))

    def _torch_inputs(self, variant: Variant, features: Mapping[str, Array]) -> tuple[Any, Any]:
        values = torch.from_numpy(features[FEATURES]).to(self._device, DTYPES[variant.precision])
        return values, torch.from_numpy(features[FEATURES_LENGTH]).to(self._device)

    def _torch_tokens(self, variant: Variant, inputs: tuple[Any, Any]) -> Any:
        return self._torch(variant, inputs)[0].cpu()

    def _torch(self, variant: Variant, inputs: tuple[Any, Any]) -> tuple[Any, Any, Any]:
        with torch.inference_mode(), tf32(allowed=variant.tf32):
            return self._module(variant)(*inputs)

    def _module(self, variant: Variant) -> Module:
        key = (variant.precision, variant.engine)
        if key not in self._modules:
            if variant.engine == "compiled":
                eager = Variant(variant.name, "eager", variant.precision, variant.tf32)
                self._modules[key] = compiled(self._module(eager))
            else:
                self._modules[key] = load_program(self._folder, variant.precision, self._device)
        return self._modules[key]
