"""``python -m demo``, as ``make demo`` runs it once everything is set up."""

import json
import subprocess
import sys

from demo.paths import DEMO

MANIFEST = DEMO / "clips" / "manifest.jsonl"


def run_demo(repository):
    return subprocess.run(
        [sys.executable, "-m", "demo", "--repository", str(repository)],
        cwd=DEMO.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_prints_every_clip_with_both_decoders(demo_repository):
    done = run_demo(demo_repository)
    assert done.returncode == 0, done.stderr
    clips = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    assert 12 <= len(clips) <= 20
    for clip in clips:
        assert clip["audio_filepath"].removesuffix(".flac") in done.stdout
    assert "greedy" in done.stdout
    assert "beam + KenLM" in done.stdout


def test_without_an_exported_model_the_demo_says_what_to_do(tmp_path):
    done = run_demo(tmp_path / "nothing")
    assert done.returncode == 1
    assert "python -m export build" in done.stderr
    assert "Traceback" not in done.stderr
