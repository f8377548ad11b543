"""Load on a served model: utterances sent as users send them, and what server and client do then.

Flow: :mod:`sending` says what is sent and when → :mod:`loop` sends it through the project's client
while :mod:`watch` reads the server's statistics and both sides' resources → :mod:`records` →
:mod:`figures`, a pure function → :mod:`sweep`, which repeats it at several levels and keeps every
finished point → :mod:`summary` → tables, plots and a page.
"""
