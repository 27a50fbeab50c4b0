"""Names that are safe where they must stand: partition keys for Dagster, folder names for disks.

Product ids are whatever a till prints: slashes, `..`, emoji, 500 characters. A partition key keeps
them readable and can be turned back; a slug is a safe folder name that cannot leave its folder.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import unquote

from pipeline.errors import ConfigurationError

SLUG_LETTERS = 40
KEY_LETTERS = 200
"""Letters of a partition key up to which databases index it without complaint."""


def partition_key(tenant_id: str, product_id: str) -> str:
    """Return `tenant_id/product_id` with what Dagster refuses (control characters, `...`) percent-encoded."""
    return f"{tenant_id}/{_encode(product_id)}"


def split_key(key: str) -> tuple[str, str]:
    """Return (tenant_id, product_id) of a partition key.

    Raises:
        ConfigurationError: the key has no `/`, nothing before or after it, or percent codes that are no text.
    """
    tenant_id, slash, product = key.partition("/")
    if not slash or not tenant_id or not product:
        raise ConfigurationError(f"partition key {key!r} is not of the form tenant_id/product_id")
    try:
        return tenant_id, unquote(product, errors="strict")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"partition key {key!r} holds percent codes that are no UTF-8 text") from error


def plain_key(name: str) -> str:
    """Return a name as a partition key that stands alone: what Dagster refuses is encoded, a very long one a slug."""
    key = _encode(name)
    return key if len(key) <= KEY_LETTERS else slug(name)


def label(name: str) -> str:
    """Return a name as it is told to people and in metrics: itself, or a slug where it is very long."""
    return name if len(name) <= KEY_LETTERS else slug(name)


def slug(text: str) -> str:
    """Return a folder name of at most 57 characters: a readable stem and a hash that keeps it unique."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:SLUG_LETTERS]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{stem}-{digest}" if stem else digest


def _encode(text: str) -> str:
    escaped = "".join(_percent(c) if c == "%" or _is_refused(c) else c for c in text)
    return escaped.replace("...", "%2E%2E%2E")


def _is_refused(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
