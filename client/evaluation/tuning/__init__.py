"""Choosing a beam search's weights on a development set.

Flow: manifest → ``acoustics`` (Triton, once; kept on disk) → ``parts`` (to tune on, held out)
→ ``study`` (which weights to try) and ``processes`` (try them) → ``comparison`` with
greedy decoding on the held-out part → preset, ``report``, ``heat_map``.

``study`` needs optuna and ``heat_map`` matplotlib, which nothing else here does.
"""
