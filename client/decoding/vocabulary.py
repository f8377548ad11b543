"""From a model's tokens to text: the one place that knows how each kind of vocabulary is written.

Characters stand for themselves. SentencePiece marks the start of a word by ``▁``.
"""

from collections.abc import Iterable

from client.contract import Contract

WORD_START = "▁"
_UNKNOWN_PIECE = "<unk>"
UNKNOWN_WORD = "▁⁇▁"  # as SentencePiece writes it, a word of its own


def labels(contract: Contract) -> list[str]:
    """What each token writes, ``[V - 1]``: the vocabulary without the blank."""
    if contract.vocabulary_kind == "char":
        return list(contract.vocabulary)
    return [UNKNOWN_WORD if piece == _UNKNOWN_PIECE else piece for piece in contract.vocabulary]


def join(pieces: Iterable[str], vocabulary_kind: str) -> str:
    """Labels to text: characters are joined as they are, pieces become words."""
    text = "".join(pieces)
    if vocabulary_kind == "char":
        return text
    return " ".join(text.replace(WORD_START, " ").split())
