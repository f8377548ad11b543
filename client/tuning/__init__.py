"""Choosing a beam search's weights on a development set.

Flow: manifest → :mod:`acoustics` (Triton, once; kept on disk) → :mod:`parts` (to tune on, held out)
→ :mod:`study` (which weights to try) and :mod:`processes` (try them) → :mod:`comparison` with
greedy decoding on the held-out part → preset, :mod:`report`, :mod:`heat_map`.

``study`` needs optuna and ``heat_map`` matplotlib, which nothing else here does.
"""
