"""Finds the metrics files of model servers: `{YYYY-MM-DD}/{HH}/*.jsonl`, by hours of UTC."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.monitoring.serving.faults import Faults, why

DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
HOUR = re.compile(r"[01]\d|2[0-3]", re.ASCII)
SUFFIX = ".jsonl"
LINK = "it is a symbolic link, which is not followed; put the file or folder itself here"


def metrics_files(root: Path, since: dt.datetime | None, faults: Faults) -> Iterator[Path]:
    """Yield the files of the hours since a moment, in order of day, hour and name.

    Args:
        root: the folder; one that is not there has no files.
        since: the hour of this moment is the first; None: all.
        faults: take what is no folder of a day or an hour, symbolic links, and what cannot be listed. Hidden names and
            files of other kinds are passed over.

    Raises:
        MetadataError: the faults are strict, and there is one.
    """
    if not root.exists():
        return
    first = None if since is None else since.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    for day_folder in _folders(root, faults):
        day = _day(day_folder.name)
        if day is None:
            faults.add(day_folder, "it is no day; folders are named YYYY-MM-DD, such as 2026-03-02")
        elif first is None or day >= first.date():
            yield from _files_of_day(day_folder, day, first, faults)


def _files_of_day(folder: Path, day: dt.date, first: dt.datetime | None, faults: Faults) -> Iterator[Path]:
    for hour_folder in _folders(folder, faults):
        if not HOUR.fullmatch(hour_folder.name):
            faults.add(hour_folder, "it is no hour; folders of a day are named HH, 00 to 23")
            continue
        hour = dt.datetime(day.year, day.month, day.day, int(hour_folder.name), tzinfo=dt.UTC)
        if first is None or hour >= first:
            yield from _files_of_hour(hour_folder, faults)


def _files_of_hour(folder: Path, faults: Faults) -> Iterator[Path]:
    for entry in _listed(folder, faults):
        if not entry.name.endswith(SUFFIX):
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            faults.add(path, LINK)
        elif not entry.is_dir(follow_symlinks=False):
            yield path


def _folders(folder: Path, faults: Faults) -> Iterator[Path]:
    for entry in _listed(folder, faults):
        if entry.is_symlink():
            faults.add(Path(entry.path), LINK)
        elif entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)


def _listed(folder: Path, faults: Faults) -> list[os.DirEntry[str]]:
    """What a folder holds, but for hidden names, in order of name; nothing where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        faults.add(folder, why(error))
        return []


def _day(name: str) -> dt.date | None:
    if not DAY.fullmatch(name):
        return None
    try:
        return dt.date.fromisoformat(name)
    except ValueError:
        return None
