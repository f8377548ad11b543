"""The evaluation as one HTML page that needs no network.

Flow: ``Evaluation`` → ``alignment`` (what went wrong, word by
word) → ``statistics`` (which words, how often) → ``sections`` (what is read, as HTML with
``charts``) and ``data`` (what is searched and played, as JSON; for the worst utterances
with ``details``) → ``page``. The page's own files are in ``assets``.
"""

from .page import ReportOptions, write_report

__all__ = ["ReportOptions", "write_report"]
