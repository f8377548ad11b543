"""Results files to one page of Markdown tables; nothing is measured here."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import BundleError
from benchmarks.report import Cells, markdown


def report(paths: Iterable[Path]) -> str:
    """The page for the results in ``paths``; raises ``BundleError`` when there are none."""
    results = [_read(path) for path in sorted(paths)]
    if not results:
        raise BundleError("no results to report: give the folder that 'run' wrote its JSON into")
    return "\n".join(_section(result) for result in results)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} holds no results: {error}") from error


def _section(result: Any) -> str:
    model, device = result["model"], result["device"]
    where = device.get("gpu") or f"{result['cpu']} ({result['cpus']} CPUs, no GPU)"
    versions = {**result["packages"], "Python": result["python"]}
    for key in ("driver", "cuda_of_torch", "cudnn"):
        if key in device:
            versions[key.replace("_", " ")] = device[key]
    said = ", ".join(f"{name} {value}" for name, value in versions.items())
    parts = [
        f"## {model['title']} on {where}\n",
        f"{result['date']}; {said}.",
        f"Random weights, {model['parameters'] / 1e6:.1f} M parameters in the encoder.",
        f"`{result['command']}`\n",
    ]
    tables = (("parity", _parity), ("speed", _speed), ("triton", _triton), ("triton", _stages))
    parts += [table(result[rows]) for rows, table in tables if result[rows]]
    parts += [f"Left out: {reason}.\n" for reason in result["left_out"]]
    parts += [f"**Failed:** {reason}\n" for reason in result["failed"]]
    return "\n".join(parts)


def _parity(rows: Sequence[Any]) -> str:
    headings = ("against float32 on the CPU", "finite", "log_probs", "tokens differ", "batched")
    body = [
        (
            row["variant"],
            "yes" if row["finite"] else "**no**",
            _number(row["max_abs"], ".1e"),
            f"{row['tokens_differ']} of {row['frames']}",
            _number(row["batch_max_abs"], ".1e"),
        )
        for row in rows
    ]
    return markdown(Cells(headings, body))


def _speed(rows: Sequence[Any]) -> str:
    """RTFx with its quartiles: a row for each variant, a column for each shape."""
    shapes = list(dict.fromkeys((row["batch"], row["seconds"]) for row in rows))
    cells = {
        (row["stage"], row["name"], row["batch"], row["seconds"]): (
            f"{_speed_of(row['rtfx'])} ({_speed_of(row['rtfx_low'])}-{_speed_of(row['rtfx_high'])})"
        )
        for row in rows
    }
    headings = ("RTFx (quartiles)", *(f"{batch} x {seconds:g} s" for batch, seconds in shapes))
    stages = {"acoustic": "features to tokens", "pipeline": "audio to tokens"}
    ways = dict.fromkeys((row["stage"], row["name"]) for row in rows)
    body = [
        (f"{name}, {stages[stage]}", *(cells.get((stage, name, *shape), "-") for shape in shapes))
        for stage, name in sorted(ways, key=lambda way: way[0])
    ]
    return markdown(Cells(headings, body))


def _triton(rows: Sequence[Any]) -> str:
    headings = ("embedded Triton", "RTFx", "p50 ms", "p95 ms", "encoder batch", "padding", "failed")
    body = [
        (
            _load(row),
            _speed_of(row["rtfx"]),
            f"{row['p50_ms']:.0f}",
            f"{row['p95_ms']:.0f}",
            _number(row["encoder_batch"], ".1f"),
            f"{row['padding_share']:.0%}",
            str(row["failed"]),
        )
        for row in rows
    ]
    return markdown(Cells(headings, body))


def _stages(rows: Sequence[Any]) -> str:
    """Where a request's time goes: a row for each load, a column for each stage."""
    names = list(dict.fromkeys(name for row in rows for name in row["stages_ms"]))
    body = [
        (_load(row), *(_number(row["stages_ms"].get(name), ".1f") for name in names))
        for row in rows
    ]
    return markdown(Cells(("ms of a request in the mean", *names), body))


def _load(row: Any) -> str:
    load = row["load"]
    return f"{row['precision']}, {row['serving']}, {load['lengths']}, {load['in_flight']} in flight"


def _speed_of(rtfx: float) -> str:
    return f"{rtfx:.0f}" if rtfx >= 10 else f"{rtfx:.1f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
