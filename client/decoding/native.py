"""The search in C++ (package ``nemo_ctc_search``), set up from a contract and options.

Only this module and ``language_models.loading`` know that package. It is a distribution of its own,
so that a client that decodes greedily installs without a compiler.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..language_models import LanguageModel, load_language_model
from ..language_models.cases import letters
from ..utils.extras import import_native
from ..vocabulary import Detokenizer
from ..wire.contract import Contract
from .options import BeamOptions
from .pauses import Pauses
from .writable import check_hotwords, check_words


def make_decoder(
    contract: Contract,
    detokenizer: Detokenizer,
    options: BeamOptions,
    language_models: Sequence[LanguageModel],
) -> Any:
    """Its ``Decoder``, which searches share; raises as ``BeamDecoder`` does."""
    native = import_native("beam search")
    if not language_models:
        language_models = [
            load_language_model(each.path, options.unigrams) for each in options.language_models
        ]
    options = _closed_up(options, detokenizer)
    check_hotwords(options.hotwords, detokenizer)
    for named, model in zip(options.language_models, language_models, strict=True):
        check_words(named.path, model.words, detokenizer, options.lm_case)
    labels = [detokenizer.close_up(label) for label in detokenizer.written]
    pauses = Pauses(contract, detokenizer, exact_nemo_text=options.exact_nemo_text)
    return native.Decoder(
        labels=[re.split(r"\s", label) for label in labels],
        marks=[label[:1] in detokenizer.marks for label in labels],
        token_min_logp=options.token_min_logp,
        beam_width=options.beam_width,
        beam_prune_logp=options.beam_prune_logp,
        nbest=options.nbest,
        pauses=pauses.rule(native.PauseRule),
        models=[
            (model.model, named.weight)
            for named, model in zip(options.language_models, language_models, strict=True)
        ],
        lexicon=_lexicon(native, language_models),
        letters=letters(options.lm_case, "".join(detokenizer.written)),
        alpha=options.alpha,
        beta=options.beta,
        unk_score_offset=options.unk_score_offset,
        hotwords=[(each.text, options.weight_of(each)) for each in options.hotwords],
    )


def _lexicon(native: Any, language_models: Sequence[LanguageModel]) -> Any:
    """The words of all models; of a single one it is made once for all decoders."""
    if not language_models:
        return None
    if len(language_models) == 1:
        return language_models[0].lexicon
    return native.Lexicon(list(frozenset().union(*(each.words for each in language_models))))


def _closed_up(options: BeamOptions, detokenizer: Detokenizer) -> BeamOptions:
    """The options with the hotwords as a text has them, without a space before a mark."""
    texts = [detokenizer.close_up(" ".join(hotword.text.split())) for hotword in options.hotwords]
    pairs = zip(options.hotwords, texts, strict=True)
    return replace(options, hotwords=tuple(replace(hotword, text=text) for hotword, text in pairs))
