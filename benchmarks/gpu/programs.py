"""Encoder and decoder as a torch program: the baseline that ONNX Runtime is compared with.

NeMo is not on the machine that measures, so its modules travel as the operators that
``torch.export`` records of them, in float32 and in half precision, with free batch and time. Run
there as they are, one operator after another, they are what "eager" means in the results: NeMo's
layers with this project's masks, without the time that NeMo's own Python code takes.

Runs where checkpoints are exported.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from torch import nn

PRECISIONS: Final = {"fp32": torch.float32, "fp16": torch.float16}
EXAMPLE_FRAMES: Final = 300


def export_programs(
    module: nn.Module, features: int
) -> Iterator[tuple[str, torch.export.ExportedProgram]]:
    """Each precision and ``module`` in it, one after another.

    ``module`` maps float features [B, F, T], F being ``features``, and int64 lengths [B, 1].
    """
    for precision, dtype in PRECISIONS.items():
        yield precision, _exported(copy.deepcopy(module).to(dtype), features, dtype)


def save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write ``program`` where ``torch.export.load`` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, path)


def _exported(module: nn.Module, features: int, dtype: torch.dtype) -> torch.export.ExportedProgram:
    free = torch.export.Dim.DYNAMIC
    example = (
        torch.randn(2, features, EXAMPLE_FRAMES, dtype=dtype),
        torch.tensor([[EXAMPLE_FRAMES], [EXAMPLE_FRAMES // 2]]),
    )
    with torch.no_grad():
        return torch.export.export(module, example, dynamic_shapes=({0: free, 2: free}, {0: free}))
