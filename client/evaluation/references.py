"""References that a model cannot match, whatever was said."""

from collections.abc import Iterable
from typing import Final

from ..audio import Warn
from ..language_models.spelling import Spelling
from ..wire.contract import Contract

_SHOWN_CHARACTERS: Final = 20


def warn_of_unwritable(texts: Iterable[str], contract: Contract, warn: Warn) -> None:
    """Say which of the references a model cannot write: these words can only be wrong."""
    spelling = Spelling.of_contract(contract)
    strange = [unwritable for text in texts if (unwritable := spelling.unwritable(text))]
    if strange:
        characters = " ".join(map(repr, sorted(frozenset().union(*strange))[:_SHOWN_CHARACTERS]))
        warn(
            f"references with characters that the model cannot write: {len(strange):,}; "
            f"their words count as errors: {characters}"
        )
