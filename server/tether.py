"""Become another program, which ends when the process that started it ends.

Run as a script, ``tether.py PARENT_PID PROGRAM ARGUMENT…``, so that none of our code runs between
fork and exec. The kernel sends SIGTERM when the parent is gone, however it ended; this setting
survives exec. Strictly, the parent is the *thread* that started this process.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Tie this process to its parent, then exec the program."""
    parent_pid, program = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM)) != 0:
        sys.exit(f"cannot ask for the parent's death signal: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:  # it died before prctl took effect
        sys.exit("the launcher ended before the server started")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the launcher starts us with signals blocked
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    main()
