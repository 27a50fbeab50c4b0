"""`python -m pipeline_tests.events.relaying [killed]`: relay what waits, as another process.

With `killed` the process ends by SIGKILL once events were sent, before they are marked.
"""

from __future__ import annotations

import os
import signal
import sys

from pipeline.events.relay import relay
from pipeline.installation import open_installation
from pipeline.registry.outbox import Outbox


def _die(*_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Do what the arguments say."""
    if "killed" in sys.argv:
        Outbox.mark_published = _die  # type: ignore[method-assign]
    print("ready", flush=True)
    sys.stdin.readline()
    print(relay(open_installation(), 30), flush=True)


if __name__ == "__main__":
    main()
