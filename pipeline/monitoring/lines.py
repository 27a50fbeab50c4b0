"""The lines of a file, however long, in little memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = 65_536


class Line(NamedTuple):
    """One line of a file, without its newline."""

    number: int
    content: bytes | None
    """None: it is longer than what is looked at."""
    ended: bool
    """Whether a newline follows; False only of the last one."""


def lines_of(path: Path, longest: int, *, follow: bool = False) -> Iterator[Line]:
    """Yield the lines of a regular file that are not blank; a byte order mark at its head is no part of the first.

    Args:
        path: the file.
        longest: bytes of a line that is looked at.
        follow: whether it may be a symbolic link.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    # Neither a link that has just taken the file's place is followed, nor a pipe waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is no regular file")
        number = 0
        while read := file.readline(longest + 1):
            number += 1
            ended = read.endswith(b"\n")
            if len(read) > longest and not ended:
                yield Line(number, None, _skipped(file))
                continue
            content = read.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else read.strip()
            if content:
                yield Line(number, content, ended)


def _skipped(file: BinaryIO) -> bool:
    """Read on to the end of the line, and return whether it has one."""
    while read := file.readline(BLOCK):
        if read.endswith(b"\n"):
            return True
    return False
