"""References that a model cannot match, whatever it hears."""

from collections.abc import Iterable
from typing import Final

from ..language_models.spelling import Spelling
from ..wire.contract import Contract
from .streams import messages

_SHOWN_CHARACTERS: Final = 20


def warn_of_unwritable(texts: Iterable[str], contract: Contract) -> None:
    """Say which of the references a model cannot write: these words can only be wrong."""
    spelling = Spelling.of_contract(contract)
    strange = [unwritable for text in texts if (unwritable := spelling.unwritable(text))]
    if strange:
        characters = " ".join(map(repr, sorted(frozenset().union(*strange))[:_SHOWN_CHARACTERS]))
        messages.print(
            f"warning: references with characters that the model cannot write: {len(strange):,}; "
            f"their words count as errors: {characters} (`client manifest --check` counts them)"
        )
