"""One page that shows a sweep at a glance: a single HTML file that fetches nothing."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any, Final

from benchmarks.load.summary import LEGEND, about, by_level, headline, table
from benchmarks.report import Cells

_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>
:root { color-scheme: light dark; --ground:#f6f7f9; --card:#fff; --ink:#1b1f24; --soft:#5c6670;
  --line:#dfe3e8; }
@media (prefers-color-scheme: dark) { :root { --ground:#0f1216; --card:#181c22; --ink:#e8ebef;
  --soft:#9aa5b1; --line:#2b323b; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--ground); color:var(--ink);
  font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width:1160px; margin:0 auto; padding:28px clamp(12px, 2vw, 24px) 48px; }
h1 { font-size:28px; line-height:1.2; margin:0; } h2 { font-size:17px; margin:0 0 6px; }
p { margin:0 0 8px; } .soft, dl { color:var(--soft); font-size:14px; }
.columns { display:grid; gap:14px; margin:18px 0 14px;
  grid-template-columns:repeat(auto-fit, minmax(min(420px, 100%), 1fr)); align-items:start; }
.side, .tiles { display:grid; gap:14px; } .tiles { grid-template-columns:1fr 1fr; }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:14px 16px;
  min-width:0; }
.tile b { display:block; font-size:26px; line-height:1.25; }
img { display:block; width:100%; border-radius:10px; background:#fff; }
.scroll { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-size:13px; font-variant-numeric:tabular-nums; }
th, td { padding:7px; text-align:right; border-bottom:1px solid var(--line); white-space:nowrap; }
th { color:var(--soft); font-weight:550; white-space:normal; vertical-align:bottom; }
th:first-child, td:first-child { text-align:left; position:sticky; left:0; background:var(--card); }
dt { display:inline; font-weight:650; } dd { display:inline; margin:0; }
dd::after { content:""; display:block; margin-bottom:2px; }
code { font-size:12.5px; overflow-wrap:anywhere; }
</style></head><body><main>
<h1>$title</h1><p class="soft">$subtitle</p>
<section class="columns"><img alt="$alt" src="data:image/png;base64,$plot">
<div class="side"><div class="tiles">$tiles</div>
<div class="card"><h2>How this was measured</h2>
$about<p class="soft"><code>$command</code></p></div></div></section>
<section class="card"><h2>All figures</h2><p class="soft">$repeats</p>
<div class="scroll">$table</div><dl>$legend</dl></section>
</main></body></html>
"""


def page(document: Mapping[str, Any], plot: bytes) -> str:
    """The page of a sweep's document, which has at least one point, with its ``plot``, a PNG."""
    summaries = by_level(document["points"])
    rounds = max(each.repeats for each in summaries)
    return Template(_PAGE).substitute(
        title=escape(f"{document['settings']['model']} under load"),
        subtitle=escape(f"{document['date'][:10]} · {document['cpu']} · {document['cpus']} CPUs"),
        alt="Throughput against latency, and where a request's time goes: see the table",
        plot=b64encode(plot).decode(),
        tiles="".join(map(_tile, headline(summaries))),
        about="".join(f"<p>{escape(sentence)}</p>" for sentence in about(document)),
        command=escape(document["command"]),
        repeats=f"Medians of {rounds} rounds; in brackets the quartiles."
        if rounds > 1
        else "Each load was measured once.",
        table=_table(table(summaries)),
        legend="".join(
            f"<dt>{escape(name)}</dt><dd>: {escape(words)}.</dd>" for name, words in LEGEND.items()
        ),
    )


def _tile(tile: tuple[str, str, str]) -> str:
    name, figure, where = map(escape, tile)
    return (
        f'<div class="card tile"><span class="soft">{name}</span><b>{figure}</b>'
        f'<span class="soft">{where}</span></div>'
    )


def _table(cells: Cells) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in cells.headings)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
