"""A process that eats memory and time, for the test of `benchmarks.fresh`; run as a module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.fresh import cpu_seconds

EAT = "import time; eaten = bytearray(80_000_000); time.sleep(0.7)"


def main() -> None:
    """Fail or talk if asked to; else take 150 MB while a child takes 80, work, and print the CPU seconds of that."""
    if sys.argv[1] == "fail":
        sys.exit("the oven is broken")
    if sys.argv[1] == "talk":
        print("the bread is baked", file=sys.stderr)
        print(sys.argv[2])
        return
    eaten = bytearray(150_000_000)
    subprocess.run([sys.executable, "-c", EAT], check=True)
    begun = time.process_time()
    while time.process_time() - begun < 0.3:
        eaten[0] = 1
    print("words before the last line")
    print(json.dumps({"cpu": cpu_seconds(), "environment": dict(os.environ)}))


if __name__ == "__main__":
    main()
