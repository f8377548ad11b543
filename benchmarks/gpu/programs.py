"""Encoder and decoder as torch programs: the baseline that ONNX Runtime is compared with.

NeMo is not on the machine that measures, so its modules travel as the operators that
``torch.export`` records of them, in float32 and in half precision, with free batch and time. Run
there as they are, one operator after another, they are what "eager" means in the results: NeMo's
layers with this project's masks, without the time that NeMo's own Python code takes.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from benchmarks.gpu.layout import PROGRAMS

Module = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
DTYPES: Final[Mapping[str, torch.dtype]] = {"fp32": torch.float32, "fp16": torch.float16}
EXAMPLE_FRAMES: Final = 300


def save_programs(module: nn.Module, features: int, model: Path) -> None:
    """Write ``module`` in each precision into the model's folder.

    It maps float features [B, F, T], F being ``features``, and int64 lengths [B, 1].
    """
    free = torch.export.Dim.DYNAMIC
    shapes = ({0: free, 2: free}, {0: free})
    lengths = torch.tensor([[EXAMPLE_FRAMES], [EXAMPLE_FRAMES // 2]])
    (model / PROGRAMS).mkdir(parents=True)
    for precision, dtype in DTYPES.items():
        example = (torch.randn(2, features, EXAMPLE_FRAMES, dtype=dtype), lengths)
        with torch.no_grad():
            typed = copy.deepcopy(module).to(dtype)
            program = torch.export.export(typed, example, dynamic_shapes=shapes)
        torch.export.save(program, _path(model, precision))


def load_program(model: Path, precision: str, device: torch.device) -> Module:
    """The acoustic model in the model's folder, on ``device``.

    It maps features [B, F, T] of its type and int64 lengths [B, 1] to tokens, log_probs, lengths.
    """
    with warnings.catch_warnings():
        # It reads into memory that may not be written to, and here it is not.
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        program = torch.export.load(_path(model, precision))
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


def _path(model: Path, precision: str) -> Path:
    return model / PROGRAMS / f"{precision}.pt2"
