"""A reference as a model sees it: characters that it lacks, the tokens, and their CTC loss.

Characters stand for themselves. How a SentencePiece model cuts a text only its tokenizer knows,
which is not served: it is given as a file, and known by its pieces to be the model's.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..audio import Warn
from ..errors import DecoderError
from ..language_models.spelling import Spelling
from ..utils.extras import import_extra
from ..utils.utf8 import holds
from ..wire.contract import Contract

_SHOWN_CHARACTERS: Final = 20


def warn_of_unwritable(texts: Iterable[str], contract: Contract, warn: Warn) -> None:
    """Warn of the references that a model cannot write: these words can only be wrong."""
    spelling = Spelling.of_contract(contract)
    strange = [unwritable for text in texts if (unwritable := spelling.unwritable(text))]
    if strange:
        characters = " ".join(map(repr, sorted(frozenset().union(*strange))[:_SHOWN_CHARACTERS]))
        warn(
            f"references with characters that the model cannot write: {len(strange):,}; "
            f"their words count as errors: {characters}"
        )


Spell: TypeAlias = Callable[[str], list[int] | None]
"""A text's tokens, or ``None`` where they cannot write it."""


class Tokenizers:
    """SentencePiece models from files, for the served models that were trained with them.

    Raises ``DecoderError`` when one cannot be read, and ``MissingPackage`` when there are files
    and no package to read them.
    """

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self._by_pieces = {
            tuple(map(model.id_to_piece, range(model.get_piece_size()))): model
            for model in map(_load, paths)
        }

    def spell(self, contract: Contract) -> Spell | None:
        """How the model's references are spelled; ``None`` for pieces without a tokenizer.

        Raises ``DecoderError`` when there are tokenizers and none of them is the model's.
        """
        if contract.vocabulary_kind == "char":
            return _characters(contract)
        if not self._by_pieces:
            return None
        if contract.vocabulary not in self._by_pieces:
            raise DecoderError(
                f"the tokenizer's pieces are not the {len(contract.vocabulary)} of the model"
                f" exported from {contract.checkpoint}, expected its checkpoint's tokenizer.model",
                options=("EvaluationOptions.tokenizers",),
            )
        return _cut(self._by_pieces[contract.vocabulary])


def _characters(contract: Contract) -> Spell:
    tokens = {label: token for token, label in enumerate(contract.vocabulary)}

    def spell(text: str) -> list[int] | None:
        text = " ".join(text.split())
        return [tokens[character] for character in text] if set(text) <= tokens.keys() else None

    return spell


def _cut(model: Any) -> Spell:
    unknown = model.unk_id()

    def spell(text: str) -> list[int] | None:
        tokens = list(model.encode(text)) if holds(text) else [unknown]
        return None if unknown in tokens else tokens

    return spell


def _load(path: Path) -> Any:
    sentencepiece = import_extra("sentencepiece", "tokenizer", "a SentencePiece tokenizer")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DecoderError(
            f"{path}: cannot be read as a SentencePiece model, expected the tokenizer.model of the"
            f" checkpoint ({error})"
        ) from error


def ctc_loss(log_probs: NDArray[Any], tokens: Sequence[int], blank: int) -> float:
    """Negative log-probability of ``tokens`` by ``log_probs [S, V]``, in nats; not divided by any.

    The sum over all alignments, frame by frame (the forward variable of Graves et al.,
    "Connectionist Temporal Classification", ICML 2006), in logarithms and float64. Infinite where
    the tokens do not fit in the frames.
    """
    states = np.full(2 * len(tokens) + 1, blank)  # [K], blank before, between and after tokens
    states[1::2] = tokens
    skips = np.zeros(len(states), bool)  # whether a state can follow the one before the last
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    skipped_to = np.flatnonzero(skips)
    forward = np.full(len(states), -np.inf)  # [K], as if a frame of blank came before the first
    forward[0] = 0.0
    for frame in log_probs:
        reached = forward.copy()
        reached[1:] = np.logaddexp(reached[1:], forward[:-1])
        reached[skipped_to] = np.logaddexp(reached[skipped_to], forward[skipped_to - 2])
        forward = reached + frame[states]
    return -float(np.logaddexp.reduce(forward[-2:]))
