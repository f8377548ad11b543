"""The evaluation as one HTML page that needs no network.

Flow: :class:`~client.evaluation.result.Evaluation` → :mod:`~.alignment` (what went wrong, word by
word) → :mod:`~.statistics` (which words, how often) → :mod:`~.sections` (what is read, as HTML with
:mod:`~.charts`) and :mod:`~.data` (what is searched and played, as JSON; for the worst utterances
with :mod:`~.details`) → :mod:`~.page`. The page's own files are in ``assets``.
"""

from client.evaluation.report.options import ReportOptions
from client.evaluation.report.page import write_report

__all__ = ["ReportOptions", "write_report"]
