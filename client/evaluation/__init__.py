"""Evaluation: several systems on one manifest, what they get wrong, and whether they differ.

Flow: manifest → :mod:`~client.evaluation.evaluator`: each model hears it once
(:mod:`~client.evaluation.acoustics`), each system decodes what its model heard
(:mod:`~client.evaluation.decoding`), texts are compared after
:mod:`~client.evaluation.normalization` (:mod:`~client.evaluation.scoring`,
:mod:`~client.evaluation.ctc_loss`) → :mod:`~client.evaluation.result`, what was found, as data.
Everything that shows it (:mod:`~client.evaluation.text`, :mod:`~client.evaluation.as_json`, the
HTML :mod:`~client.evaluation.report`) reads that and nothing else.
"""
