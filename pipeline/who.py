"""Who runs this process, for records that people read."""

from __future__ import annotations

import getpass
import os


def user() -> str:
    """Return the user's name; where the system knows none, as in many containers, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"
