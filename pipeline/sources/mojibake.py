"""Mends names whose UTF-8 bytes were once read as Windows-1252 or Latin-1."""

from __future__ import annotations

_ROUNDS = 2  # A file that went through two such programs is mended twice; beyond that it is guessing.


def repaired(text: str) -> str:
    """Return the text as it was meant, or as it is where there is any doubt.

    Only what decodes strictly as UTF-8 (it is then shorter) and is printable counts as mended.
    """
    for _ in range(_ROUNDS):
        once = _once(text)
        if once is None:
            break
        text = once
    return text


def _once(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        meant = b"".join(_byte(character) for character in text).decode("utf-8")
    except UnicodeError:
        return None
    return meant if _printable(meant) else None


def _byte(character: str) -> bytes:
    """Windows-1252 leaves five bytes undefined; readers pass those through as Latin-1 does."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def _printable(text: str) -> bool:
    return all(character.isprintable() or character.isspace() for character in text)
