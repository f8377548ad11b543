"""An exported model: its contract, and its graphs in bare ONNX Runtime, on the CPU or on CUDA.

What flows through: utterances int16 [N] → preprocessor → features [B, F, T] → encoder → encoded
[B, D, S] → decoder → tokens, log_probs. Between graphs the tensors stay where they are computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig

from benchmarks.errors import ModelError, ProviderError
from client.errors import ContractError
from client.wire.contract import CONTRACT_PARAMETER, Contract

ROLES: Final = ("preprocessor", "encoder", "decoder")
PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
CUDA_OPTIONS: Final = {"cudnn_conv_algo_search": "HEURISTIC"}
"""As in the exported configurations: the default searches again for every new shape."""

Array = NDArray[Any]
Values = Mapping[str, Any]
"""ONNX Runtime's ``OrtValue`` by tensor name."""


@dataclass(frozen=True)
class RuntimeOptions:
    """What computes: ``cpu`` with ``threads`` (0: all cores), or ``cuda``; and CUDA's options."""

    provider: str = "cpu"
    threads: int = 0
    cuda_options: tuple[tuple[str, str], ...] = tuple(CUDA_OPTIONS.items())


class Graph:
    """One graph in ONNX Runtime.

    Raises ``ModelError`` when it cannot be loaded, ``ProviderError`` when the provider
    is not there or did not start.
    """

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        self._session = _session(path, options)
        self._device = options.provider
        self.inputs = tuple(tensor.name for tensor in self._session.get_inputs())
        self.outputs = tuple(tensor.name for tensor in self._session.get_outputs())

    def run(self, values: Values) -> dict[str, Any]:
        """Outputs by name, on the device, from ``values``, which hold the inputs among others."""
        binding = self._session.io_binding()
        for name in self.inputs:
            binding.bind_ortvalue_input(name, values[name])
        for name in self.outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return dict(zip(self.outputs, binding.get_outputs(), strict=True))


class Pipeline:
    """The three graphs of the model ``name``, run one after another."""

    def __init__(self, repository: Path, name: str, options: RuntimeOptions) -> None:
        paths = {role: graph_path(repository, name, role) for role in ROLES}
        missing = [str(path) for path in paths.values() if not path.is_file()]
        if missing:
            raise ModelError(
                f"{name!r} has no graph at {', '.join(missing)}: check the name, or build it with "
                "'python -m export build'"
            )
        self._device = options.provider
        self._graphs = {role: Graph(path, options) for role, path in paths.items()}

    def features(self, utterances: Sequence[Array]) -> dict[str, Any]:
        """The preprocessor's outputs for int16 ``utterances`` [N], on the device."""
        return self._graphs["preprocessor"].run(self.audio(utterances))

    def acoustic(self, features: Values) -> dict[str, Any]:
        """The decoder's outputs for the preprocessor's, on the device."""
        return self._graphs["decoder"].run(self._graphs["encoder"].run(features))

    def run(self, utterances: Sequence[Array]) -> dict[str, Any]:
        """``tokens``, ``log_probs`` and ``log_probs_length`` of a batch, on the device."""
        return self.acoustic(self.features(utterances))

    def audio(self, utterances: Sequence[Array]) -> dict[str, Any]:
        """The preprocessor's inputs: flat int16 [ΣN] and int32 [B, 1], on the host."""
        lengths = np.array([[len(audio)] for audio in utterances], dtype=np.int32)
        arrays = (np.concatenate(utterances), lengths)
        names = self._graphs["preprocessor"].inputs
        if len(names) != len(arrays):
            raise ModelError(
                f"the preprocessor takes {names}, expected audio and its lengths: export it again"
            )
        return self.values(dict(zip(names, arrays, strict=True)))

    @staticmethod
    def values(arrays: Mapping[str, Array]) -> dict[str, Any]:
        """ONNX Runtime's values of ``arrays``, on the host."""
        make = onnxruntime.OrtValue.ortvalue_from_numpy
        return {name: make(array) for name, array in arrays.items()}


def host(values: Values, names: Iterable[str]) -> dict[str, Array]:
    """The tensors ``names`` copied from the device."""
    return {name: values[name].numpy() for name in names}


def read_contract(repository: Path, name: str) -> Contract:
    """The contract of the model ``name``, in its configuration.

    Raises ``ModelError`` when there is no such model, or it carries none.
    """
    path = repository / name / "config.pbtxt"
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
        if CONTRACT_PARAMETER not in config.parameters:
            raise ModelError(
                f"{name!r} carries no contract: give a model exported by this project, and not one"
                " of the graphs that it is made of"
            )
        return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except OSError as error:
        there = sorted(found.parent.name for found in repository.glob("*/config.pbtxt"))
        raise ModelError(
            f"no model {name!r} in {repository}, which has {', '.join(there) or 'none'}: check the"
            " name, or build it with 'python -m export build'"
        ) from error
    except (text_format.ParseError, ContractError) as error:
        raise ModelError(f"{path} is not the configuration of a model of ours: {error}") from error


def graph_path(repository: Path, name: str, role: str) -> Path:
    """Where the graph of one role of the model ``name`` lies, in the folder of its version."""
    folder = repository / f"{name}_{role}"
    return next(folder.glob("*/model.onnx"), folder / "model.onnx")


def noise(n_samples: int, seed: int = 0) -> Array:
    """White noise at a twelfth of full scale, for speed alone; int16 [N]."""
    values = np.random.default_rng(seed).standard_normal(n_samples) * (2**15 / 12)
    return np.clip(values, -(2**15), 2**15 - 1).astype(np.int16)


def check_provider(provider: str) -> None:
    """Raise ``ProviderError`` unless this ONNX Runtime has ``provider``."""
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"this onnxruntime {onnxruntime.__version__} has no {PROVIDERS[provider]}, it has "
            f"{', '.join(onnxruntime.get_available_providers())}: install onnxruntime-gpu in its "
            "place, or choose --provider cpu"
        )


def _session(path: Path, options: RuntimeOptions) -> Any:
    check_provider(options.provider)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    # Or the threads of one session would still be spinning when the next one is timed.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    provider = PROVIDERS[options.provider]
    providers: list[Any] = [provider]
    if options.provider == "cuda":
        onnxruntime.preload_dlls()  # CUDA's libraries may lie in NVIDIA's Python packages
        # The CPU computes shapes, which CUDA does not.
        providers = [(provider, dict(options.cuda_options)), PROVIDERS["cpu"]]
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=providers)
    # ONNX Runtime's exceptions share no base but RuntimeError and Exception.
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
    if provider not in session.get_providers():
        raise ProviderError(
            f"{provider} did not start, ONNX Runtime's reason is above: check that nvidia-smi "
            "shows a GPU, and that CUDA and cuDNN are of the versions that it names"
        )
    return session
