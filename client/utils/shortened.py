"""What users gave, in messages: short, however long it is."""

from typing import Final

_HEAD: Final = 100
_TAIL: Final = 60


def shortened(given: object) -> str:
    """``str(given)``, of a long one its beginning and its end, where paths tell most."""
    text = str(given)
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}… ({len(text):,} characters) …{text[-_TAIL:]}"
