"""Evaluation: several systems on one manifest, what they get wrong, and whether they differ.

Flow: manifest → ``evaluation.evaluator``: each model hears it once
(``evaluation.acoustics``), each system decodes what its model heard
(``evaluation.decoding``), texts are compared after
``evaluation.normalization`` (``evaluation.scoring``,
``evaluation.ctc_loss``) → ``evaluation.result``, what was found, as data.
Everything that shows it (``evaluation.text``, ``evaluation.as_json``, the
HTML ``evaluation.report``) reads that and nothing else.
"""
