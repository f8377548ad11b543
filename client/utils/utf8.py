"""Texts that UTF-8 cannot hold, and how they are written all the same.

A JSON escape for half an emoji, or a file name in Latin-1, becomes a lone surrogate in Python, and
encoding it raises. JSON has an escape for it, so results hold it and give it back; other text gets
a ``?`` (``errors="replace"``) in its place. Nothing ends because of it.
"""

import json
import re
from typing import Any, Final

_LONE: Final = re.compile("[\ud800-\udfff]")


def json_text(document: Any, **options: Any) -> str:
    """JSON in UTF-8's characters, with escapes for those it cannot hold; ``options`` as dumps'."""
    text = json.dumps(document, ensure_ascii=False, **options)
    return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def replaced(text: str) -> str:
    """``text`` with a ``?`` for what UTF-8 cannot hold."""
    return _LONE.sub("?", text)


def holds(value: Any) -> bool:
    """Whether UTF-8 can hold every text in a JSON value."""
    return not _LONE.search(json.dumps(value, ensure_ascii=False))
