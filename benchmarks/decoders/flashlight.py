"""flashlight-text's lexicon decoder, set up as near to the others as it lets itself be.

Flow: words of the language model → their spellings in tokens → trie → ``LexiconDecoder``.

The weights are the others' in its units: KenLM tells it log10 probabilities, so ``lm_weight`` is
alpha times ln 10; ``word_score`` is beta. It writes no word that the language model lacks, and
prunes tokens by number, not by probability. Two things that it cannot do are mended, in its favour:

- Characters: it ends a word by the space after it, which an utterance's last word lacks. A last
  frame is appended that is surely a space.
- Pieces: once a word is complete, its last piece cannot go on for another frame. Frames in a row
  with the same best piece are made one, of their mean log-probabilities. (In generated speech,
  every fifth word is wrong otherwise.)
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import ProviderError
from benchmarks.report import optional
from client.decoding import BeamOptions
from client.language_models import read_words
from client.vocabulary import WORD_START
from client.wire.contract import Contract

TOKENS_PER_FRAME: Final = 10
"""Tried in each frame. On generated speech, 30 take twice the time for 5 % fewer errors."""
_PACKAGE: Final = "flashlight-text"
_NEVER: Final = np.float32(-1e3)  # a log-probability out of any beam's reach
_SPACE: Final = " "


class Flashlight:
    """Words of the language model alone, spelled in any way that the vocabulary allows."""

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        library = optional("flashlight.lib.text.decoder", _PACKAGE)
        kenlm = optional("flashlight.lib.text.decoder.kenlm", _PACKAGE)
        dictionary = optional("flashlight.lib.text.dictionary", _PACKAGE).Dictionary
        if options.lm is None or options.hotwords:
            raise ProviderError("its decoder needs a language model, and knows no hotwords")
        [lm] = options.language_models
        self._blank = contract.blank
        self._in_pieces = contract.vocabulary_kind == "sentencepiece"
        self._between = contract.blank + 1  # no token's, as there is no silence
        if not self._in_pieces:
            self._between = contract.vocabulary.index(_SPACE)
        self._words = sorted(read_words(lm.path))
        trie = library.Trie(contract.blank + 2, self._between)
        for label, word in enumerate(self._words):
            written = WORD_START + word if self._in_pieces else word + _SPACE
            for spelling in spellings(written, contract.vocabulary):
                trie.insert(spelling, label, 0.0)
        self._decoder = library.LexiconDecoder(
            options=library.LexiconDecoderOptions(
                beam_size=options.beam_width,
                beam_size_token=TOKENS_PER_FRAME,
                beam_threshold=-options.beam_prune_logp,
                lm_weight=options.alpha * math.log(10),
                word_score=options.beta,
                unk_score=-math.inf,
                sil_score=0.0,
                log_add=True,
                criterion_type=library.CriterionType.CTC,
            ),
            trie=trie,
            lm=kenlm.KenLM(str(lm.path), dictionary(self._words)),
            sil_token_idx=self._between,
            blank_token_idx=contract.blank,
            unk_token_idx=-1,
            transitions=[],
            is_token_lm=False,
        )

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        prepared = self._merged(log_probs) if self._in_pieces else self._ended(log_probs)
        emissions = np.ascontiguousarray(prepared, np.float32)
        best = self._decoder.decode(emissions.ctypes.data, *emissions.shape)[0]
        return " ".join(self._words[label] for label in best.words if label >= 0)

    def _merged(self, log_probs: NDArray[Any]) -> NDArray[Any]:
        """With a frame for each run of the same best piece, and a column for no silence."""
        best = log_probs.argmax(axis=1)  # [S]
        goes_on = (best[1:] == best[:-1]) & (best[1:] != self._blank)
        starts = np.flatnonzero(np.concatenate(([True], ~goes_on)))  # [runs]
        lengths = np.diff(starts, append=len(best))
        merged = np.add.reduceat(log_probs, starts) / lengths[:, np.newaxis]  # [runs, V]
        return np.hstack((merged, np.full((len(merged), 1), _NEVER)))

    def _ended(self, log_probs: NDArray[Any]) -> NDArray[Any]:
        """With a frame, ``[S + 1, V]``, of space."""
        frame = np.full((1, log_probs.shape[1]), _NEVER)
        frame[0, self._between] = 0.0
        return np.vstack((log_probs, frame))


def spellings(text: str, vocabulary: Sequence[str]) -> list[list[int]]:
    """All ways to write ``text`` in tokens of ``vocabulary``."""
    tokens = {label: token for token, label in enumerate(vocabulary) if label}
    longest = max(map(len, tokens))
    ends: list[list[list[int]]] = [[[]]]  # the spellings of each beginning of the text
    for end in range(1, len(text) + 1):
        found = []
        for start in range(max(0, end - longest), end):
            token = tokens.get(text[start:end])
            if token is not None:
                found += [[*spelling, token] for spelling in ends[start]]
        ends.append(found)
    return ends[-1]
