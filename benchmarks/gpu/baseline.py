"""The torch baseline on the machine that measures: the carried program, eager or compiled."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from benchmarks.gpu.layout import PROGRAMS, WEIGHTS
from benchmarks.gpu.weights import Weights

Module = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
DTYPES: Mapping[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}


def load_program(model: Path, precision: str, device: torch.device) -> Module:
    """The acoustic model in the model's folder, with its weights, on ``device``.

    It maps features [B, F, T] of its type and int64 lengths [B, 1] to tokens, log_probs, lengths.
    """
    place = f"{PROGRAMS}/{precision}.pt2"
    with warnings.catch_warnings():
        # It reads into memory that may not be written to, and here it is not.
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        program = torch.export.load(model / place)
    weights = Weights.from_json((model / WEIGHTS).read_text(encoding="utf-8"))
    for name, derived in weights.programs[place].items():
        drawn = torch.from_numpy(derived.values(weights.draws).copy())
        program.state_dict[name] = torch.nn.Parameter(drawn, requires_grad=False)
    if device.type != "cpu":
        # The operators that make tensors were recorded with the device they ran on then.
        program = move_to_device_pass(program, device)
    module: Module = program.module()
    return module


def compiled(module: Module) -> Module:
    """``module`` as ``torch.compile`` makes it for each shape on its own."""
    fast: Module = torch.compile(module, dynamic=False)
    return fast


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Whether float32 products may be computed in TF32 meanwhile."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = allowed
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value
