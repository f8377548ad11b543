"""Runs a plan on generated inputs, because an engine in half precision may overflow.

Inputs come from the profile: the shortest, the best and the largest batch, with utterances of
different lengths and random, loud or silent values.
"""

import math
import random
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from export.engine.device import device_memory
from export.engine.profiles import Profile, Shape
from export.errors import EngineError

LOUDNESS: Final = 10.0
"""Normalised features have a deviation of 1, and speech seldom peaks at ten times that."""

_BLOCK: Final = 1 << 16
# TensorRT's types as codes of Python's arrays.
_CODES: Final = {"FLOAT": "f", "INT32": "i", "INT64": "q"}


@dataclass(frozen=True)
class Case:
    """One batch: the shape of each input, and the deviation of its values."""

    name: str
    shapes: Mapping[str, Shape]
    loudness: float

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.shapes.items())
        return f"{self.name} input ({shapes})"


def cases(profiles: Mapping[str, Profile]) -> Iterator[Case]:
    """The batches that a plan is tried on; only one is the largest, which takes the most time."""
    sizes: tuple[Callable[[Profile], Shape], ...] = (
        lambda profile: profile.min,
        lambda profile: profile.opt,
        lambda profile: profile.max,
    )
    kinds = (("random", 1.0), ("loud", LOUDNESS), ("silent", 0.0))
    for size in sizes:
        shapes = {name: size(profile) for name, profile in profiles.items()}
        for name, loudness in kinds[:1] if size is sizes[-1] else kinds:
            yield Case(name, shapes, loudness)


def values(case: Case, name: str, code: str) -> "array[Any]":
    """The flat content of one input: floats, or for integers the utterances' lengths in frames."""
    shape = case.shapes[name]
    if code == "f":
        count = math.prod(shape)
        return (_noise(case.loudness) * (count // _BLOCK + 1))[:count]
    frames = max((full[-1] for full in case.shapes.values() if len(full) > len(shape)), default=1)
    batch = shape[0]
    return array(code, (max(1, frames * (index + 1) // batch) for index in range(batch)))


@lru_cache
def _noise(deviation: float) -> "array[float]":
    generator = random.Random(0)  # noqa: S311  # the same in every run
    return array("f", (generator.gauss(0.0, deviation) for _ in range(_BLOCK)))


def not_finite(tensorrt: Any, plan: bytes, profiles: Mapping[str, Profile]) -> list[str]:
    """The outputs of the plan that are not finite, one sentence each; empty when all are.

    Raises ``EngineError`` when the plan does not run.
    """
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    problems = []
    with device_memory() as memory:
        engine = runtime.deserialize_cuda_engine(plan)
        context = engine.create_execution_context() if engine is not None else None
        if context is None:
            raise EngineError(
                "the plan cannot be run where it was built: the GPU's memory may be short"
            )
        tensors = _tensors(tensorrt, engine)
        for case in cases(profiles):
            outputs = _run(context, memory, case, tensors)
            problems += [
                f"{name} is not finite for {case}"
                for name, output in outputs.items()
                if not math.isfinite(sum(output))  # a sum of floats cannot overflow a double
            ]
            memory.free()
    return problems


@dataclass(frozen=True)
class _Tensor:
    name: str
    code: str
    is_input: bool


def _tensors(tensorrt: Any, engine: Any) -> list[_Tensor]:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    codes = {getattr(tensorrt.DataType, name): code for name, code in _CODES.items()}
    tensors = []
    for name in names:
        kind = engine.get_tensor_dtype(name)
        if kind not in codes:
            raise EngineError(f"the plan's tensor {name} is {kind}, expected FLOAT, INT32 or INT64")
        is_input = engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
        tensors.append(_Tensor(name, codes[kind], is_input))
    return tensors


def _run(context: Any, memory: Any, case: Case, tensors: list[_Tensor]) -> dict[str, "array[Any]"]:
    for tensor in tensors:
        if tensor.is_input:
            if not context.set_input_shape(tensor.name, case.shapes[tensor.name]):
                raise EngineError(f"the plan does not take {case}")
            data = values(case, tensor.name, tensor.code).tobytes()
            context.set_tensor_address(tensor.name, memory.upload(data))
    addresses = {}
    for tensor in tensors:
        if not tensor.is_input:
            count = math.prod(context.get_tensor_shape(tensor.name))
            size = count * array(tensor.code).itemsize
            addresses[tensor] = (memory.allocate(size), size)
            context.set_tensor_address(tensor.name, addresses[tensor][0])
    if not context.execute_async_v3(0):
        raise EngineError(f"the plan fails on {case}")
    memory.synchronize()
    outputs = {}
    for tensor, (address, size) in addresses.items():
        outputs[tensor.name] = array(tensor.code)
        outputs[tensor.name].frombytes(memory.download(address, size))
    return outputs
