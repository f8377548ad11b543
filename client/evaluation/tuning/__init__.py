"""Choosing a beam search's weights on a development set.

Flow: manifest → ``evaluation.acoustics`` (the model, once; its outputs are kept on disk) →
``parts`` (to tune on, held out) → ``study`` (which weights to try) and ``counting`` (try them) →
``comparison`` with greedy decoding on the held-out part → ``result``, ``heat_map``; ``tuner`` has
all of it.

``study`` needs optuna and ``heat_map`` matplotlib, which nothing else here does.
"""
