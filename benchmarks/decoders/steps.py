"""What each of our decoder's speed-ups brings: the decoder without it, one at a time.

Flow: ``log_probs`` → pauses marked → candidates → search → text, by the decoder's own parts, one of
them replaced by another without the speed-up. :data:`TEXT_ALONE` has all parts as they are: what
the others are compared with, and, beside the whole decoder, what words with times and confidences
cost.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoders.peers import MakePeer
from client.decoding import BeamOptions
from client.decoding.candidates import LEAST_LOG_PROB, Candidates, select_candidates
from client.decoding.pauses import Pauses
from client.decoding.scoring import WordScorer
from client.decoding.search import Found, PrefixSearch
from client.language_models import load_language_model
from client.vocabulary import Detokenizer
from client.wire.contract import Contract

Select: TypeAlias = Callable[[NDArray[Any], NDArray[Any], int, float], Candidates]


class Parts:
    """The decoder's parts, put together as :class:`~client.decoding.BeamDecoder` does, for text."""

    def __init__(
        self,
        contract: Contract,
        options: BeamOptions,
        select: Select = select_candidates,
        search: type[PrefixSearch] = PrefixSearch,
    ) -> None:
        self._select = select
        self._selection = contract.blank, options.token_min_logp
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._pauses = Pauses(contract, self._detokenizer, exact_nemo_text=options.exact_nemo_text)
        model = None if options.lm is None else load_language_model(options.lm)
        scorer = WordScorer(model, options)
        self._search = search(self._detokenizer, contract.blank, scorer, options)

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        marked = self._pauses.mark_log_probs(log_probs, log_probs.argmax(axis=1))
        found = self._search.run(self._select(*marked, *self._selection))[0]
        words = self._detokenizer.words(found.tokens, squeeze=True)
        return " ".join([word.text for word in words])


class NoShortcut(PrefixSearch):
    """Searches a frame of nothing but blank as any other."""

    def run(self, candidates: Candidates) -> list[Found]:
        """The best texts."""
        beam, log_scale = [self._root()], candidates.collapsed_logp
        pairs = list(zip(candidates.tokens, candidates.probabilities, strict=True))
        steps = zip(candidates.frames, candidates.starts[:-1], candidates.starts[1:], strict=True)
        for step, (frame, first, end) in enumerate(steps):
            beam, best = self._prune(self._advance(beam, step, frame, pairs[first:end]))
            log_scale += math.log(best)
        return self._finish(beam, log_scale)


class NoMemory(PrefixSearch):
    """Makes and scores a prefix each time that it is reached."""

    def _extend(self, prefix: Any, *arguments: Any) -> Any:
        extension = super()._extend(prefix, *arguments)
        prefix.extensions.clear()
        return extension


def select_every_frame(
    log_probs: NDArray[Any],
    best: NDArray[Any],
    blank: int,  # noqa: ARG001  # as any other token
    token_min_logp: float,
) -> Candidates:
    """As the decoder selects from ``log_probs``, ``[S, V]``, but every frame is a step."""
    clipped = np.clip(log_probs, LEAST_LOG_PROB, 0.0)
    likely = clipped >= token_min_logp
    likely[np.arange(len(clipped)), best] = True
    steps, tokens = np.nonzero(likely)  # [candidates], [candidates]
    return Candidates(
        frames=list(range(len(clipped))),
        starts=np.searchsorted(steps, np.arange(len(clipped) + 1)).tolist(),
        tokens=tokens.tolist(),
        probabilities=np.exp(clipped[steps, tokens].astype(np.float64)).tolist(),
        collapsed_logp=0.0,
    )


def select_frame_by_frame(
    log_probs: NDArray[Any], best: NDArray[Any], blank: int, token_min_logp: float
) -> Candidates:
    """As the decoder selects from ``log_probs``, ``[S, V]``, but one frame after the other."""
    steps = Candidates(frames=[], starts=[0], tokens=[], probabilities=[], collapsed_logp=0.0)
    collapsed_logp, after_blank = 0.0, False
    for number, (log_prob, first) in enumerate(zip(log_probs, best.tolist(), strict=True)):
        clipped = np.clip(log_prob, LEAST_LOG_PROB, 0.0)  # [V]
        likely = sorted({first, *np.flatnonzero(clipped >= token_min_logp)})
        only_blank = likely == [blank]
        if only_blank:
            collapsed_logp += float(clipped[blank])
        if not (only_blank and after_blank):
            steps.frames.append(number)
            steps.tokens.extend(likely)
            probabilities = np.exp(clipped[likely].astype(np.float64)).tolist()
            steps.probabilities.extend([1.0] if only_blank else probabilities)
            steps.starts.append(len(steps.tokens))
        after_blank = only_blank
    return replace(steps, collapsed_logp=collapsed_logp)


def _without_recombination(contract: Contract, options: BeamOptions) -> Parts:
    return Parts(contract, replace(options, nbest=2))


TEXT_ALONE: Final = "ours, text alone"
STEPS: Final[dict[str, MakePeer]] = {
    TEXT_ALONE: Parts,
    "without collapse of blanks": partial(Parts, select=select_every_frame, search=NoShortcut),
    "without vectorised pruning": partial(Parts, select=select_frame_by_frame),
    "without memory of prefixes": partial(Parts, search=NoMemory),
    "without recombination": _without_recombination,
}
