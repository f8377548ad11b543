"""An engine for tests: does as the options say, and is imported by a real worker process."""

import os
import sys
import threading
import time
from contextlib import contextmanager

PACKAGES = ("numpy", "no-such-package")


class Engine:
    """Loaded at once."""

    def transcribe(self, files, options):
        """What the options say, the files' names by default."""
        print("chatter that is no answer")  # noqa: T201
        if "error" in options:
            raise ValueError(options["error"])
        if "die" in options:
            sys.stderr.write("first words\nlast words\n")
            sys.stderr.flush()
            os._exit(3)
        if "forget" in options:
            return []
        if "tell" in options:
            facts = {
                "cpus": len(os.sched_getaffinity(0)),
                "threads": os.environ["OMP_NUM_THREADS"],
            }
            return [str(facts[options["tell"]])] * len(files)
        burn(options.get("burn_s", 0))
        if "burn_later_s" in options:
            threading.Thread(target=burn, args=(options["burn_later_s"],), daemon=True).start()
        return [options.get("text", file) for file in files]


def burn(cpu_s):
    """Use a CPU for so long, however many others want it."""
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        pass


@contextmanager
def load(settings, threads):
    assert threads > 0
    if "refuse" in settings:
        raise RuntimeError(settings["refuse"])
    yield Engine()
