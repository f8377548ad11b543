"""Load on a served model: utterances sent as users send them, and what server and client do then.

Flow: ``sending`` says what is sent and when → ``loop`` sends it through the project's client
while ``watch`` reads the server's statistics and both sides' resources → ``records`` →
``figures``, a pure function → ``sweep``, which repeats it at several levels and keeps every
finished point → ``summary`` → tables, plots and a page.
"""
