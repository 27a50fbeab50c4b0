"""`python -m benchmarks [NAME ...]`: measure, and write Markdown into benchmarks/results."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import orchestration

RESULTS = Path(__file__).parent / "results"
ALL = {"orchestration": orchestration.measure}


def main() -> None:
    """Run the benchmarks that are named, or all."""
    wanted = sys.argv[1:] or list(ALL)
    unknown = [name for name in wanted if name not in ALL]
    if unknown:
        sys.exit(f"no benchmark is called {unknown[0]!r}; there are: {', '.join(ALL)}")
    RESULTS.mkdir(exist_ok=True)
    for name in wanted:
        text = ALL[name]()
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
