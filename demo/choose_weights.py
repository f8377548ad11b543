"""Tune the demo's beam search on AN4's ``dev`` list: ``python -m demo.choose_weights``.

Serves the model while ``nemo-ctc tune`` runs, which writes ``demo/beam.json``.
"""

import sys
from pathlib import Path

from client.__main__ import main as client
from client.commands.parser import CommandParser
from demo.paths import DEMO, SPEECH_DATA
from server import EmbeddedServer, ServerOptions, free_ports

DEV = SPEECH_DATA / "an4" / "dev_manifest.json"


def main() -> int:
    """Choose the weights; returns the exit status."""
    parser = CommandParser(prog="python -m demo.choose_weights", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    if not DEV.exists():
        sys.exit(f"no speech data at {SPEECH_DATA}: set SPEECH_DATA to the folder with an4/")
    with EmbeddedServer(ServerOptions(options.repository, **free_ports())) as server:
        model = ["--url", server.grpc_url, "--model", "demo", "--manifest", str(DEV)]
        files = ["--lm", str(DEMO / "lm.arpa.gz"), "--output", str(DEMO / "beam.json")]
        return client(["tune", *model, *files])


if __name__ == "__main__":
    sys.exit(main())
