"""One page that shows a sweep at a glance: a single HTML file that fetches nothing."""

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any, Final

from benchmarks.load.charts import histogram, stage_bars, trade_chart, trade_legend
from benchmarks.load.figures import STAGES
from benchmarks.load.summary import LEGEND, Summary, about, by_level, headline, table
from benchmarks.plots import STAGE_COLORS
from benchmarks.report import Cells

_DARK: Final = STAGE_COLORS | {"queue": "#6e7681", "encoder": "#3a93d6", "decoder": "#12b886"}
"""Lighter where the dark ground would swallow them."""
_STYLE: Final = """
:root { color-scheme: light dark; --ground:#f6f7f9; --card:#fff; --ink:#1b1f24; --soft:#5c6670;
  --line:#dfe3e8; --closed:#0072b2; --open:#d55e00; $light }
@media (prefers-color-scheme: dark) { :root { --ground:#0f1216; --card:#181c22; --ink:#e8ebef;
  --soft:#9aa5b1; --line:#2b323b; --closed:#3a93d6; --open:#f0813a; $dark } }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink);
  font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width:1120px; margin:0 auto; padding:32px 20px 48px; }
h1 { font-size:28px; line-height:1.2; margin:0 0 4px; }
h2 { font-size:17px; margin:0 0 3px; }
p { margin:0 0 8px; } .soft { color:var(--soft); font-size:14px; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit, minmax(150px, 1fr)); gap:14px;
  margin:22px 0 14px; }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:16px 18px;
  min-width:0; }
.tile b { display:block; font-size:30px; line-height:1.25; font-weight:650;
  font-variant-numeric:tabular-nums; }
.grid2 { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap:14px; }
.grid2 + .card, .card + .grid2 { margin-top:14px; }
svg { display:block; width:100%; height:auto; margin-top:8px; }
svg text { fill:var(--soft); font-size:12.5px; } svg .name { fill:var(--ink); font-weight:650; }
svg .grid { stroke:var(--line); } svg .axis { stroke:var(--soft); }
svg .mark { stroke:var(--ink); stroke-dasharray:3 3; } svg .fill { fill:var(--closed); }
polyline { fill:none; stroke-width:2.25; } svg .dashed { stroke-dasharray:5 4; }
svg .closed { stroke:var(--closed); } svg circle.closed { fill:var(--closed); }
svg .open { stroke:var(--open); } svg circle.open { fill:var(--open); }
svg .thin { stroke-width:1.5; opacity:.45; }
.legend { list-style:none; display:flex; flex-wrap:wrap; gap:4px 16px; margin:10px 0 0; padding:0;
  font-size:13.5px; color:var(--soft); }
.legend li { display:flex; align-items:center; gap:6px; }
.dot { width:11px; height:11px; border-radius:3px; } .dot.closed { background:var(--closed); }
.dot.open { background:var(--open); }
.line { width:20px; border-top:2.25px solid var(--soft); } .line.dashed { border-top-style:dashed; }
.bars { margin-top:14px; display:grid; gap:10px; }
.row { display:grid; grid-template-columns:104px 1fr 76px; gap:10px; align-items:center;
  font-size:14px; }
.bar { display:flex; height:26px; border-radius:5px; overflow:hidden; background:var(--line); }
.bar b { display:block; height:100%; }
.number { text-align:right; font-variant-numeric:tabular-nums; }
$stages
.scroll { overflow-x:auto; margin-top:8px; }
table { border-collapse:collapse; width:100%; font-size:13px; font-variant-numeric:tabular-nums; }
th, td { padding:7px 7px; text-align:right; border-bottom:1px solid var(--line);
  white-space:nowrap; }
th { color:var(--soft); font-weight:550; white-space:normal; vertical-align:bottom;
  line-height:1.25; } tr:last-child td { border-bottom:0; }
th:first-child, td:first-child { text-align:left; position:sticky; left:0; background:var(--card); }
dl { margin:10px 0 0; font-size:13.5px; color:var(--soft); }
dt { display:inline; font-weight:650; } dd { display:inline; margin:0; }
dd::after { content:""; display:block; margin-bottom:2px; }
code { font-size:12.5px; overflow-wrap:anywhere; }
@media (max-width:520px) { main { padding:20px 12px 32px; } .card { padding:14px 12px; }
  .tiles { grid-template-columns:1fr 1fr; gap:10px; } .tile b { font-size:24px; }
  .row { grid-template-columns:1fr auto; gap:2px 10px; } .bar { grid-row:2; grid-column:1 / 3; } }
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>$style</style></head><body><main>
<h1>$title</h1><p class="soft">$subtitle</p>
<section class="tiles">$tiles</section>
<section class="grid2">
<div class="card"><h2>Throughput against latency</h2>
<p class="soft">Right is more, down is quicker. The load stands at each point.</p>$trade</div>
<div class="card"><h2>What was sent</h2><p class="soft">$audio</p>$histogram</div></section>
<section class="card" style="margin-top:14px"><h2>Where a request's time goes</h2>
<p class="soft">Shares of the mean request, from Triton's own statistics and the client's clock.</p>
$stages</section>
<section class="card" style="margin-top:14px"><h2>All figures</h2>
<p class="soft">$repeats</p>
<div class="scroll">$table</div><dl>$legend</dl></section>
<section class="card" style="margin-top:14px"><h2>How this was measured</h2>
$about<p class="soft"><code>$command</code></p></section>
</main></body></html>
"""


def page(document: Mapping[str, Any]) -> str:
    """The page of a sweep's document, which has at least one point."""
    summaries = by_level(document["points"])
    model = document["settings"]["model"]
    return Template(_PAGE).substitute(
        title=escape(f"{model} under load"),
        style=_style(),
        subtitle=escape(f"{document['date'][:10]} · {document['cpu']} · {document['cpus']} CPUs"),
        tiles="".join(map(_tile, headline(summaries))),
        trade=trade_chart(summaries) + trade_legend(summaries),
        audio=escape(document["audio"]),
        histogram=histogram(document["lengths_s"]),
        stages=stage_bars(summaries),
        repeats=_repeats(summaries),
        table=_table(table(summaries)),
        legend="".join(
            f"<dt>{escape(name)}</dt><dd>: {escape(words)}.</dd>" for name, words in LEGEND.items()
        ),
        about="".join(f"<p>{escape(sentence)}</p>" for sentence in about(document)),
        command=escape(document["command"]),
    )


def _style() -> str:
    return Template(_STYLE).substitute(
        light=_variables(STAGE_COLORS),
        dark=_variables(_DARK),
        stages="\n".join(f".s-{stage} {{ background:var(--{stage}); }}" for stage in STAGES),
    )


def _variables(colors: Mapping[str, str]) -> str:
    return " ".join(f"--{stage}:{color};" for stage, color in colors.items())


def _tile(tile: tuple[str, str, str]) -> str:
    name, figure, where = map(escape, tile)
    return (
        f'<div class="card tile"><span class="soft">{name}</span><b>{figure}</b>'
        f'<span class="soft">{where}</span></div>'
    )


def _repeats(summaries: Sequence[Summary]) -> str:
    most = max(each.repeats for each in summaries)
    if most == 1:
        return "Each load was measured once."
    return f"Medians of {most} rounds; in brackets the quartiles."


def _table(cells: Cells) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in cells.headings)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
