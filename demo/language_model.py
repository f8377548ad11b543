"""Make the demo's language model: ``python -m demo.language_model``, after ``make kenlm-tools``.

A word 3-gram of the demo's domain: AN4's training transcripts, the digit strings that the
acoustic model was trained on, and sentences of our own generator. AN4's ``dev`` and ``test``
lists and the clips' sentences stay out. Writes ``demo/lm.arpa.gz``.
"""

import gzip
import json
import subprocess
import sys

from demo.clips import clip_sentences
from demo.paths import DEMO, GENERATED
from demo.sentences import TRAINING_SEED, sentences

ORDER = 3
GENERATED_SENTENCES = 4000
MEMORY = "512M"
"""lmplz would take 80 % of the machine's memory unless told otherwise."""

LMPLZ = DEMO.parent / ".kenlm" / "bin" / "lmplz"


def main() -> None:
    """Count and smooth the n-grams."""
    if not LMPLZ.exists():
        sys.exit(f"{LMPLZ} is not there: run `make kenlm-tools`")
    manifest = (GENERATED / "train.jsonl").read_text().splitlines()
    transcripts = [json.loads(line)["text"] for line in manifest]
    texts = [*transcripts, *sentences(GENERATED_SENTENCES, TRAINING_SEED + 1)]
    held_out = set(clip_sentences())
    corpus = "".join(f"{text}\n" for text in texts if text not in held_out)
    arpa = subprocess.run(
        [LMPLZ, "--order", str(ORDER), "--discount_fallback", "-S", MEMORY],
        input=corpus.encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    path = DEMO / "lm.arpa.gz"
    path.write_bytes(gzip.compress(arpa, mtime=0))
    sys.stdout.write(f"{path}: {len(path.read_bytes()) / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
