"""`python -m pipeline_tests.resilience.calling`: another process, which calls a service through its breaker."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.errors import ServiceUnavailableError
from pipeline.registry import Registry, open_registry
from pipeline.resilience import Breaker, Limits
from pipeline.settings import Settings

NAME = "sales:bakery"
LIMITS = Limits(5, 60.0)


def main() -> None:
    """Do what each line says, and print what came of it; `open HOME URL` says which registry is meant.

    `hold` is a call that lasts until the next line comes.
    """
    registry: Registry | None = None
    for line in sys.stdin:
        what, *rest = line.rstrip("\n").split("\t")
        if what == "open":
            if registry is not None:
                registry.close()
            registry = open_registry(Settings(pipeline_home=Path(rest[0]), database_url=rest[1] or None))
            print("ready", flush=True)
            continue
        assert registry is not None
        print(_done(Breaker(NAME, LIMITS, registry), what), flush=True)


def _done(breaker: Breaker, what: str) -> str:
    asked: list[str] = []

    def call() -> None:
        asked.append(what)
        if what == "hold":
            print("holding", flush=True)
            sys.stdin.readline()
        if what == "fail":
            raise ConnectionResetError("gone")

    try:
        breaker.call(call)
    except ConnectionResetError:
        return "failed"
    except ServiceUnavailableError as error:
        return "opened it" if asked else f"refused: {error}"
    return "succeeded"


if __name__ == "__main__":
    main()
