"""``python -m export.verification``: every family against NeMo at full size, as one table.

Exports and verifies models of NeMo's published architectures with random weights, and the demo
checkpoint, in ONNX Runtime and through the embedded Triton. A JSON file keeps the results, so that
families can be verified one at a time; a Markdown table is written beside it.
"""

import json
import sys
from pathlib import Path

from export.arguments import Parser
from export.process import interrupt_on_termination, quiet_nemo, sleep_when_idle

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: list[str] | None = None) -> int:
    """Verify what was named and write the table; 1 when something did not pass."""
    quiet_nemo()
    from export.verification.families import SUBJECTS, Speech, verify_subject, write_table

    parser = Parser(
        prog="python -m export.verification",
        description="Verify every family against NeMo at full size, and write the table.",
    )
    parser.add_version()
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--output", type=Path, default=DOCS / "verification.md")
    parser.add_argument("--manifest", type=Path, help="speech to verify the demo checkpoint on")
    parser.add_argument("--calibration-manifest", type=Path, help="speech to calibrate int8 with")
    options = parser.parse_args(arguments)
    unknown = set(options.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    speech = Speech(options.manifest, options.calibration_manifest)
    failed = False
    results_path = options.output.with_suffix(".json")
    for subject in options.subjects or SUBJECTS:
        sys.stderr.write(f"{subject}\n")
        result = verify_subject(subject, speech)
        results = json.loads(results_path.read_text()) if results_path.exists() else {}
        results[subject] = result
        results_path.write_text(json.dumps(results, indent=2) + "\n")
        write_table(results, options.output)
        failed |= not result["gate"]["passed"]
    return int(failed)


if __name__ == "__main__":
    interrupt_on_termination()
    sleep_when_idle()
    sys.exit(main())
