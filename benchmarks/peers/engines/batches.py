"""Cutting work into batches, in the order of arrival or of length."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """``items`` by ``size``, the last batch as long as what is left."""
    return (items[start : start + size] for start in range(0, len(items), size))


def in_batches(
    items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], Sequence[Answer]]
) -> list[Answer]:
    """What ``work`` makes of all items, in their order."""
    return [answer for batch in batches(items, size) for answer in work(batch)]


def by_length(lengths: Sequence[int]) -> list[int]:
    """The positions in the order of length, shortest first."""
    return sorted(range(len(lengths)), key=lengths.__getitem__)
