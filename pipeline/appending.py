"""Lines added to files that several processes write to, whole and on disk."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def append_lines(path: Path, lines: bytes) -> None:
    """Add lines, each with its newline, in one write, and flush them to the disk.

    Writers do not mix: each has the file's lock while it looks at the end and writes. Where an earlier line was torn,
    by a full disk or a cut of power, these begin on a line of their own.

    Raises:
        OSError: they cannot be written, or only in part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # It goes with the descriptor, also that of a killed process.
        length = os.fstat(descriptor).st_size
        if length and os.pread(descriptor, 1, length - 1) != b"\n":
            lines = b"\n" + lines
        if (written := os.write(descriptor, lines)) < len(lines):
            raise OSError(None, f"{written} of {len(lines)} bytes were written; is the disk full?")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
