"""Evaluation: several systems on one manifest, what they get wrong, and whether they differ.

:mod:`~client.evaluation.result` is what an evaluation finds, as data; everything that shows it
(terminal, JSON, the HTML report) reads that and nothing else.
"""
