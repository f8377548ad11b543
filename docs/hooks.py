"""What MkDocs does to the pages: the README is the first of them, and links stay within the site.

The pages are written to be read in the repository too. What they link to there and the site does
not hold is shown by its path.
"""

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page's text with the site's links."""
    if page.file.src_uri == "index.md":
        markdown, folder = README.read_text(encoding="utf-8"), README.parent
        markdown = markdown.replace("](docs/images/", "](images/")  # pictures stay pictures
    else:
        folder = DOCS
    return _LINK.sub(lambda link: _within_site(link, folder), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """The page's HTML without the mark that begins a block of code in docstrings."""
    return html.replace("<p>::</p>", "")


def _within_site(link: re.Match[str], folder: Path) -> str:
    text, target = link.groups()
    path, hash_sign, anchor = target.partition("#")
    file = (folder / path).resolve()
    if file.is_file() and file.is_relative_to(DOCS):
        return f"[{text}]({file.relative_to(DOCS)}{hash_sign}{anchor})"
    place = file.relative_to(README.parent.resolve()).as_posix()
    return f"`{place}`" if text.strip("`") in (path, place) else f"{text} (`{place}`)"
