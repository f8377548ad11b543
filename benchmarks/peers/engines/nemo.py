"""NeMo's own ``transcribe``: what a user of the checkpoint calls first."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch

from benchmarks.peers.worker import Engine
from export.checkpoint import load_checkpoint
from export.process import quiet_nemo

PACKAGES: Final = ("nemo_toolkit", "torch", "numpy")


class Nemo:
    """A restored model; ``options`` are the ``batch`` size."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Texts in the order of the files; the loader reads in this process."""
        hypotheses = self._model.transcribe(
            list(files), batch_size=options["batch"], num_workers=0, verbose=False
        )
        return [getattr(hypothesis, "text", hypothesis) for hypothesis in hypotheses]


@contextmanager
def load(settings: Mapping[str, Any], threads: int) -> Iterator[Engine]:
    """Load ``settings["checkpoint"]``, which decodes greedily as every peer does."""
    quiet_nemo()
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    yield Nemo(load_checkpoint(settings["checkpoint"]).model)
