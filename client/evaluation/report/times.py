"""When the compared words were said: normalisation changes, joins, splits and drops words."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from ...transcript import Word


def timed_words(spoken: Sequence[Word], compared: Sequence[str]) -> list[Word | None]:
    """The time of each word that was ``compared``, where letters of ``spoken`` words are in it."""
    if len(spoken) == len(compared):
        return list(spoken)
    found: list[Word | None] = [None] * len(compared)
    before = [word.text.lower() for word in spoken]
    after = [word.lower() for word in compared]
    for tag, start, end, to_start, to_end in _matcher(before, after).get_opcodes():
        if tag == "equal":
            found[to_start:to_end] = spoken[start:end]
        elif tag == "replace":
            found[to_start:to_end] = _by_letters(spoken[start:end], after[to_start:to_end])
    return found


def _by_letters(spoken: Sequence[Word], compared: Sequence[str]) -> list[Word | None]:
    """From the first to the last spoken word that shares letters with the one compared."""
    before, owners = _letters([word.text.lower() for word in spoken])
    after, takers = _letters(compared)
    shared: list[list[Word]] = [[] for _ in compared]
    for start, to_start, length in _matcher(before, after).get_matching_blocks():
        for offset in range(length):
            shared[takers[to_start + offset]].append(spoken[owners[start + offset]])
    return [
        words[0]._replace(text=text, end_s=words[-1].end_s) if words else None
        for text, words in zip(compared, shared, strict=True)
    ]


def _letters(words: Sequence[str]) -> tuple[str, list[int]]:
    """All letters, and the place of the word of each."""
    return "".join(words), [place for place, word in enumerate(words) for _ in word]


def _matcher(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, before, after, autojunk=False)
