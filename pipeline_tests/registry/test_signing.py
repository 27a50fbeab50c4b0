"""Signed manifests: with a key only what was signed with it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from pipeline.errors import ConfigurationError, IntegrityError, RegistryError
from pipeline.registry import Registry, open_registry
from pipeline.registry.manifests import sign
from pipeline.settings import Settings, get_settings
from pipeline_tests.registry.builders import MOMENT, register, start

KEY = "a long and secret text"


@contextmanager
def opened(settings: Settings, key: str | None = KEY) -> Iterator[Registry]:
    """The registry as a process with this key sees it."""
    with open_registry(settings.model_copy(update={"model_signing_key": SecretStr(key) if key else None})) as registry:
        yield registry


def test_what_is_signed_is_read(prepared: Settings) -> None:
    """With the key, and without any, a signed manifest is read; with another key it is not, and that is said."""
    with opened(prepared) as registry:
        version = register(registry, start(registry))
        assert registry.manifest("bakery", "baguette", version).version == version
    with opened(prepared, None) as registry:
        assert registry.manifest("bakery", "baguette", version).version == version
    with (
        opened(prepared, "quite another secret") as registry,
        pytest.raises(IntegrityError, match="was not signed with this MODEL_SIGNING_KEY"),
    ):
        registry.manifest("bakery", "baguette", version)


def test_a_model_cannot_be_passed_off(prepared: Settings) -> None:
    """Who can write to the database, its checksums too, but has no key, is found out."""
    with opened(prepared) as registry:
        version = register(registry, start(registry))
        forged = registry.manifest("bakery", "baguette", version).model_copy(update={"scale": 99.0}).model_dump_json()
        for signature in (None, sign(forged, b"some other text, also long")):
            with registry._writing() as connection:
                connection.execute(
                    text("UPDATE trained_models SET manifest = :text, manifest_sha256 = :sha, signature = :signature"),
                    {"text": forged, "sha": _digest(forged), "signature": signature},
                )
            with pytest.raises(IntegrityError, match=r"not signed"):
                registry.manifest("bakery", "baguette", version)
    with opened(prepared, None) as registry:
        assert registry.manifest("bakery", "baguette", version).scale == 99.0


def test_earlier_models_can_be_signed(prepared: Settings) -> None:
    """A model from before the key is refused until somebody vouches for it; what is signed already stays as it is."""
    with opened(prepared, None) as registry:
        first = register(registry, start(registry))
        with pytest.raises(RegistryError, match="MODEL_SIGNING_KEY is unset"):
            registry.sign_all("bakery")
    with opened(prepared) as registry:
        second = register(registry, start(registry))
        with pytest.raises(IntegrityError, match="is not signed"):
            registry.manifest("bakery", "baguette", first)
        assert registry.sign_all("cafe") == 0
        assert registry.sign_all("bakery") == 1
        assert registry.sign_all("bakery") == 0
        for version in (first, second):
            assert registry.manifest("bakery", "baguette", version).version == version


def test_shared_fits_are_not_taken_over(prepared: Settings) -> None:
    """With a key no shared fit is used again: its row is not signed, and could bring other files under a signature."""
    for key, found in ((None, True), (KEY, False)):
        with opened(prepared, key) as registry:
            registry.save_tenant_model("bakery", "lightgbm", "a" * 64, [], origin=MOMENT.date(), seconds=1.0)
            assert (registry.tenant_model("bakery", "lightgbm", "a" * 64) is not None) == found


def test_a_short_key_is_refused_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key below sixteen characters is an error of the settings; no key stands in any text about them."""
    monkeypatch.setenv("MODEL_SIGNING_KEY", "tooshort")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="MODEL_SIGNING_KEY") as caught:
        get_settings()
    assert "tooshort" not in f"{caught.value} {caught.value.__cause__}"
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)
    get_settings.cache_clear()
    assert KEY not in repr(get_settings())
    get_settings.cache_clear()


def _digest(content: str) -> str:
    import hashlib

    return hashlib.sha256(content.encode()).hexdigest()
