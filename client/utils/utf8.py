"""Texts that UTF-8 cannot encode, and how to write them all the same.

A JSON escape for half an emoji, or a file name in Latin-1, becomes a lone surrogate in Python, and
encoding it raises. JSON has an escape for it, so results preserve it; other text gets a ``?``
(``errors="replace"``) in its place. No run fails because of it.
"""

import json
import re
from typing import Any, Final

_LONE: Final = re.compile("[\ud800-\udfff]")


def json_text(document: Any, **options: Any) -> str:
    """JSON in UTF-8's characters, with escapes for the others; ``options`` as dumps'."""
    text = json.dumps(document, ensure_ascii=False, **options)
    return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def replaced(text: str) -> str:
    """``text`` with a ``?`` for each character that UTF-8 cannot encode."""
    return _LONE.sub("?", text)


def holds(value: Any) -> bool:
    """Whether UTF-8 can encode every text in a JSON value."""
    return not _LONE.search(json.dumps(value, ensure_ascii=False))
