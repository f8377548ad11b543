"""``python -m export.verification``: every family against NeMo at full size, as one table.

Models of NeMo's published architectures with random weights, and the demo checkpoint, are exported
and verified in ONNX Runtime and through the embedded Triton. Results are kept in a JSON file, so
that families can be done one at a time, and written as a Markdown table beside it.
"""

import argparse
import json
import logging
import signal
import sys
import warnings
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: list[str] | None = None) -> int:
    """Verify what was named and write the table; 1 when something did not pass."""
    warnings.filterwarnings("ignore")
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging

    nemo_logging.setLevel(logging.CRITICAL)
    from export.verification.families import SUBJECTS, Speech, verify_subject, write_table

    parser = argparse.ArgumentParser(prog="python -m export.verification", description=__doc__)
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
    # As an interrupt, so that staging folders and the server go away with the process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
