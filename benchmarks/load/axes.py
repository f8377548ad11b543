"""Ticks for axes, linear and logarithmic."""

import math


def linear_ticks(most: float, count: int = 5) -> list[float]:
    """Round values from 0 to the first one that is not below ``most``."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def log_ticks(least: float, most: float) -> list[float]:
    """Values 1, 2 and 5 times powers of ten, from not above ``least`` to not below ``most``."""
    first = math.floor(math.log10(least)) - 1
    last = math.ceil(math.log10(most)) + 1
    every = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    low = max(value for value in every if value <= least * 1.0001)
    high = min(value for value in every if value >= most * 0.9999)
    ticks = [value for value in every if low <= value <= high]
    decades = [value for value in ticks if math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9)]
    return decades if len(ticks) > 9 and len(decades) > 3 else ticks
