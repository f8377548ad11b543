"""The Python that the documentation shows runs as it stands, against a scripted server."""

import json
import re

import pytest

from tests.client.support import encoded, infer_reply, scripted_server
from tests.conftest import PROJECT

EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(match[1], id=f"{page.stem}:{number}")
    for page in PAGES
    for number, match in enumerate(EXAMPLE.finditer(page.read_text(encoding="utf-8")))
]


ENTRY = {"audio_filepath": "a.wav", "text": "cat", "speaker": "ann"}
ERROR_RATE_AND_FAILURES = "0.0 ()"


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_runs(text, tmp_path, monkeypatch, capsys):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(encoded([0.0] * 8000))
    (tmp_path / "test.jsonl").write_text(json.dumps(ENTRY))
    (tmp_path / "before.jsonl").write_text(json.dumps({**ENTRY, "pred_text": "cot"}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with scripted_server(lambda *_: infer_reply("cat"), model="english") as url:
        # Installed, the package has this name; tests load it under its name in the checkout.
        program = text.replace("nemo_ctc", "client").replace("localhost:8001", url)
        exec(compile(program, "example", "exec"), {"__name__": "__main__"})  # noqa: S102
    expected = ERROR_RATE_AND_FAILURES if "evaluate(" in text else "cat"
    assert expected in capsys.readouterr().out
