"""CTC beam search with words scored: from one utterance's ``log_probs`` to texts.

Flow: ``log_probs [S, V]`` → ``pauses`` marked → ``candidates`` → ``search`` with
``scoring`` → tokens with their first frames → ``runs`` → text, words with times and
confidence, other hypotheses.
"""

import math
from dataclasses import replace
from typing import Any, Final

from numpy.typing import NDArray

from ..errors import DecoderError
from ..language_models import LanguageModel, load_language_model
from ..language_models.cases import CASES
from ..transcript import Hypothesis, Transcript
from ..vocabulary import Detokenizer
from ..wire.contract import LOG_PROBS, Contract
from .candidates import check_log_probs, select_candidates
from .options import BeamOptions
from .pauses import Pauses
from .runs import Clock, Runs, runs_of_path
from .scoring import WordScorer
from .search import Found, PrefixSearch


class BeamDecoder:
    """Searches the best text of an utterance's ``log_probs``.

    ``language_model`` is ``options.lm``, for those who have loaded it. Raises
    ``DecoderError`` for a language model that cannot be used: it is damaged, or the acoustic
    model can write none of its words.
    """

    output: Final = LOG_PROBS

    def __init__(
        self,
        contract: Contract,
        options: BeamOptions,
        language_model: LanguageModel | None = None,
    ) -> None:
        self._token_min_logp = options.token_min_logp
        self._blank = contract.blank
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._clock = Clock(self._detokenizer, contract.frame_stride_s, squeeze=True)
        self._pauses = Pauses(contract, self._detokenizer, exact_nemo_text=options.exact_nemo_text)
        options = _closed_up(options, self._detokenizer)
        if language_model is None and options.lm is not None:
            language_model = load_language_model(options.lm, options.unigrams)
        _check_spelling(language_model, options, self._detokenizer)
        scorer = WordScorer(language_model, options)
        self._search = PrefixSearch(self._detokenizer, contract.blank, scorer, options)

    def decode(self, posteriors: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Texts of ``log_probs``, ``[S, V]``, natural logarithms; no frames, no text.

        Raises ``DecoderError`` when V is not the contract's or the values are something else.
        """
        check_log_probs(posteriors, self._blank + 1)
        if len(posteriors) == 0:
            return Transcript("")
        log_probs, best = self._pauses.mark_log_probs(posteriors, posteriors.argmax(axis=1))
        candidates = select_candidates(log_probs, best, self._blank, self._token_min_logp)
        found = self._search.run(candidates)
        runs = [runs_of_path(each.tokens, each.frames, log_probs, self._blank) for each in found]
        hypotheses = tuple(map(self._hypothesis, found, runs, [duration_s] * len(found)))
        return Transcript(
            hypotheses[0].text,
            hypotheses[0].words,
            self._clock.tokens(runs[0], duration_s),
            hypotheses,
        )

    def close(self) -> None:
        """Nothing to release: the language model goes with the decoder."""

    def _hypothesis(self, found: Found, runs: Runs, duration_s: float) -> Hypothesis:
        words = self._clock.words(runs, duration_s)
        text = " ".join([word.text for word in words])
        return Hypothesis(text, found.acoustic_score, found.word_score, words)


def _closed_up(options: BeamOptions, detokenizer: Detokenizer) -> BeamOptions:
    """The options with the hotwords as a text has them, without a space before a mark."""
    texts = [detokenizer.close_up(" ".join(hotword.text.split())) for hotword in options.hotwords]
    pairs = zip(options.hotwords, texts, strict=True)
    return replace(options, hotwords=tuple(replace(hotword, text=text) for hotword, text in pairs))


def _check_spelling(
    model: LanguageModel | None, options: BeamOptions, detokenizer: Detokenizer
) -> None:
    """Refuse words that the acoustic model cannot write: they could only do harm.

    A language model none of whose words can be written would make everything an unknown word; a
    hotword that cannot would pull hypotheses towards it that have to give the bonus back.
    """
    characters = frozenset("".join(detokenizer.written))
    written = frozenset(CASES[options.lm_case]("".join(characters)))
    if model is not None and not any(written.issuperset(word) for word in model.words):
        examples = ", ".join(model.sorted_words[:3])
        raise DecoderError(
            f"{options.lm}: the acoustic model can write none of its {len(model.words)} words "
            f"({examples}): where only the case differs, name the language model's own with "
            "--lm-case (lm_case), or convert it to the acoustic model's with `nemo-ctc lm "
            "convert --case`; otherwise it is a model of tokens or of another language"
        )
    for hotword in options.hotwords:
        if strange := set("".join(hotword.text.split())) - characters:
            raise DecoderError(
                f"hotword {hotword.text!r}: the acoustic model cannot write "
                f"{', '.join(map(repr, sorted(strange)))}: spell it in its characters and case"
            )
