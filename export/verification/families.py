"""Every family at full size, and the demo checkpoint in every precision, each by a whole build."""

import datetime as dt
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from export.assemble import Recipe
from export.build import TOOLS, BuildOptions, build, gate_record
from export.checkpoint import Checkpoint, load_checkpoint
from export.errors import ParityError
from export.verification.random_models import FULL_SIZE, random_checkpoint

DEMO: Final = Path(__file__).resolve().parents[2] / "demo" / "demo.nemo"
FAMILY_PRECISIONS: Final = ("fp32", "fp16")
DEMO_PRECISIONS: Final = ("fp32", "fp16", "int8")
SUBJECTS: Final = (
    *(f"{family}-{precision}" for precision in FAMILY_PRECISIONS for family in FULL_SIZE),
    *(f"demo-{precision}" for precision in DEMO_PRECISIONS),
)
NAME: Final = "subject"

_HEADER: Final = """# Verification

Made by `make verification`, which exports each model below, runs it in bare ONNX Runtime and
through the embedded Triton, alone, in batches of 2, 7 and 16, and with 1, 2, 7 and 16 requests at
once, and compares it with NeMo, one utterance at a time. Everything ran on a CPU; nothing here
says anything of a GPU's arithmetic. The thresholds are in `export/verification/thresholds.py`.

## Every family, random weights

NeMo's published configurations, weights drawn from a seed such that the greedy tokens vary from
frame to frame. Numbers are the largest absolute differences over all utterances: of features and
log_probs from NeMo's fp32 (from NeMo in float64 where its fp32 is further off than allowed), and of
log_probs between an utterance alone and in any batch. Allowed in fp32 are 1e-3, 1e-3 and 1e-4.
Tokens are the share of frames with NeMo's greedy token in every way of running, but for frames
whose best two scores are closer than 2e-3, in fp16 0.2.
Triton makes batches of what arrives together; the sizes are those that it ran the encoder in. In
fp32 requests of 2, 7 and 16 utterances were among them, which are batches of just that size.
"""
_DEMO_HEADER: Final = """
## The demo checkpoint, every precision, AN4's test set

Real weights and real speech (130 recordings, 773 words), beside the made-up utterances. fp16 and
int8 are compared with NeMo's fp32; tokens are those of the recordings, ties included. ONNX Runtime
runs fp16 graphs on a CPU by casting to fp32: that checks the stored weights and the graph, not a
GPU's fp16 arithmetic.
"""


@dataclass(frozen=True)
class Speech:
    """Recorded speech for the demo checkpoint: manifests to verify on and to calibrate with."""

    manifest: Path | None = None
    calibration_manifest: Path | None = None


def verify_subject(subject: str, speech: Speech) -> dict[str, Any]:
    """Build one of ``SUBJECTS`` in a temporary repository; returns its verification as JSON."""
    started_s = time.perf_counter()
    model, precision = subject.rsplit("-", 1)
    checkpoint = _checkpoint(model)
    recorded = Speech() if model in FULL_SIZE else speech
    with tempfile.TemporaryDirectory() as folder:
        options = BuildOptions(
            Path(folder) / "repository",
            Recipe(
                NAME,
                precision,
                calibration_manifest=recorded.calibration_manifest,
            ),
            manifest=recorded.manifest,
        )
        verification = build(checkpoint, options).verification
    return {
        "model": checkpoint.name,
        "configuration": FULL_SIZE[model].source if model in FULL_SIZE else "demo",
        "precision": precision,
        "parameters": sum(weights.numel() for weights in checkpoint.model.encoder.parameters()),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "minutes": round((time.perf_counter() - started_s) / 60, 1),
        "tools": {tool: version(tool) for tool in TOOLS},
        "gate": gate_record(verification, forced=False),
    }


def _checkpoint(model: str) -> Checkpoint:
    return random_checkpoint(FULL_SIZE[model]) if model in FULL_SIZE else load_checkpoint(str(DEMO))


def write_table(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write ``results`` of ``verify_subject``, by subject, as Markdown."""
    if unknown := set(results) - set(SUBJECTS):
        raise ParityError(
            f"results of {', '.join(sorted(unknown))}, which are no subjects: remove them"
        )
    done = [subject for subject in SUBJECTS if subject in results]
    families = [results[subject] for subject in done if not subject.startswith("demo-")]
    demo = [results[subject] for subject in done if subject.startswith("demo-")]
    lines = [
        _HEADER,
        *_headings(
            "model | encoder parameters | precision | features | log_probs | batched |"
            " through Triton | tokens | utterances | batches the encoder ran | passed"
        ),
        *map(_family_row, families),
        _DEMO_HEADER,
        *_headings("precision | log_probs | batched | tokens | word errors | NeMo's | passed"),
        *map(_demo_row, demo),
        "",
        *sorted({_versions(result) for result in (*families, *demo)}),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _family_row(result: Mapping[str, Any]) -> str:
    gate = result["gate"]
    largest = gate["largest"]
    sizes = ", ".join(gate["batches"].get(f"{NAME}_encoder", {}))
    cells = (
        f"{result['model']} (`{result['configuration']}`)",
        f"{result['parameters'] / 1e6:.1f} M",
        result["precision"],
        *(_number(largest[what]) for what in ("features", "log_probs", "batch", "triton")),
        f"{gate['token_agreement']:.2%}",
        str(gate["utterances"]),
        sizes,
        "yes" if gate["passed"] else "**no**",
    )
    return _row(cells)


def _demo_row(result: Mapping[str, Any]) -> str:
    gate = result["gate"]
    words = gate["word_errors"] or {"exported": "not run", "nemo": "not run"}
    cells = (
        result["precision"],
        *(_number(gate["largest"][what]) for what in ("log_probs", "batch")),
        f"{gate['token_agreement']:.2%}",
        str(words["exported"]),
        str(words["nemo"]),
        "yes" if gate["passed"] else "**no**",
    )
    return _row(cells)


def _headings(headings: str) -> tuple[str, str]:
    return f"| {headings} |", "|" + "---|" * len(headings.split(" | "))


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"


def _versions(result: Mapping[str, Any]) -> str:
    tools = ", ".join(f"{tool} {number}" for tool, number in result["tools"].items())
    return f"- {result['date']}: {tools}"
