"""Evaluation: several systems on one manifest, what they get wrong, and whether they differ.

::

    from nemo_ctc.evaluation import System, evaluate

    evaluation = evaluate("test.jsonl", [System("greedy", "demo")], "localhost:8001")
    print(evaluation.scores[0].words.rate)

Flow: manifest → ``evaluator``: each model runs once (``acoustics``), each system decodes its
model's outputs (``decoding``) or brings texts that exist (``scored``), texts are compared after
``normalization`` (``scoring``, ``references``) → ``result``, what was found, as data. Everything
that shows it (``text``, ``serialization``, the HTML ``report``) reads that and nothing else.

Names are loaded when first used: jiwer and optuna take their time, and may not be installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .acoustics import AcousticOptions as AcousticOptions
    from .evaluator import EvaluationOptions as EvaluationOptions
    from .evaluator import evaluate as evaluate
    from .metrics import ErrorCounts as ErrorCounts
    from .metrics import character_errors as character_errors
    from .metrics import word_errors as word_errors
    from .progress import Progress as Progress
    from .references import Tokenizers as Tokenizers
    from .report import ReportOptions as ReportOptions
    from .report import write_report as write_report
    from .result import Evaluation as Evaluation
    from .result import Failure as Failure
    from .result import Scored as Scored
    from .result import System as System
    from .result import Utterance as Utterance
    from .serialization import as_json as as_json
    from .serialization import write_csv as write_csv
    from .tuning.trials import Space as Space
    from .tuning.tuner import TuningOptions as TuningOptions
    from .tuning.tuner import tune as tune

_HOMES = {
    name: module
    for module, names in {
        ".acoustics": "AcousticOptions",
        ".evaluator": "EvaluationOptions evaluate",
        ".metrics": "ErrorCounts character_errors word_errors",
        ".progress": "Progress",
        ".references": "Tokenizers",
        ".report": "ReportOptions write_report",
        ".result": "Evaluation Failure Scored System Utterance",
        ".serialization": "as_json write_csv",
        ".tuning.trials": "Space",
        ".tuning.tuner": "TuningOptions tune",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(_HOMES)
