"""Keys and slugs, files written whole, and the settings' names and defaults."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipeline.errors import ConfigurationError, StorageError
from pipeline.home import Home, write_atomically
from pipeline.keys import partition_key, slug, split_key
from pipeline.settings import Settings, get_settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
ODD = [
    "a, b/../c", "..", "...", "....", "…", "/", "//", "%", "%2E", "%2E%2E%2E", "100 %", "tab\there", "nul\0here",
    "line\nbreak", "\u2028", "🥐" * 500, " ", "x" * 500, "C:\\x", "-", "CON", "é", "e\u0301", "\x7f",
]  # fmt: skip


@given(product=TEXT | st.sampled_from(ODD))
def test_keys_round_trip(product: str) -> None:
    """Every product id comes back from its key, and the key holds nothing that Dagster refuses."""
    key = partition_key("bakery", product)
    assert split_key(key) == ("bakery", product)
    assert "..." not in key
    assert not re.search(r"[\x00-\x1f\x7f]", key)


@given(first=TEXT, second=TEXT)
def test_keys_and_slugs_do_not_collide(first: str, second: str) -> None:
    """Different products have different keys and different slugs."""
    assume(first != second)
    assert partition_key("bakery", first) != partition_key("bakery", second)
    assert slug(first) != slug(second)


def test_dagster_accepts_every_key() -> None:
    """The orchestrator itself takes the keys of the oddest names."""
    dg = pytest.importorskip("dagster")
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [partition_key("bakery", product) for product in ODD]
        instance.add_dynamic_partitions("products", keys)
        assert instance.get_dynamic_partitions("products") == keys


@pytest.mark.parametrize("key", ["", "bakery", "bakery/", "/baguette", "/"])
def test_a_key_has_two_parts(key: str) -> None:
    """Anything else is an error that shows the key."""
    with pytest.raises(ConfigurationError, match=re.escape(repr(key))):
        split_key(key)


@pytest.mark.parametrize("key", ["bakery/%FF", "bakery/a%C3"])
def test_a_key_that_was_never_made_is_refused(key: str) -> None:
    """A percent code that is no text is an error of ours, not of the decoder."""
    with pytest.raises(ConfigurationError, match=re.escape(repr(key))):
        split_key(key)


@given(text=st.text(max_size=600) | st.sampled_from(ODD))
def test_a_slug_is_a_safe_folder_name(text: str) -> None:
    """Few plain letters, the same ones each time: it can neither leave its folder nor be hidden."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,56}", slug(text))
    assert slug(text) == slug(text)


def test_a_slug_can_be_read() -> None:
    """The stem is the name without accents and signs."""
    assert re.fullmatch(r"croissant-a-la-creme-[0-9a-f]{16}", slug("Croissant à la crème!"))
    assert re.fullmatch(r"[0-9a-f]{16}", slug("🥐"))


@given(tenant=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True), name=TEXT)
def test_a_tenants_files_stay_in_its_folder(tenant: str, name: str) -> None:
    """No tenant's id and no slug leads out of the tenant's folder."""
    home = Home(Path("/srv/home"))
    assert home.tenant(tenant).parent == home.root / "data"
    assert home.table(tenant, slug(name)).parent == home.tenant(tenant)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """Folders are made, the content is what was given, and nothing else is left."""
    path = tmp_path / "a" / "b" / "file.bin"
    for content in (b"first", b"", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """When the disk fails, the old content stays and no temporary is left."""
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(StorageError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """While one writes again and again, another always reads one whole content."""
    path = tmp_path / "file.bin"
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    write_atomically(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(30):
            write_atomically(path, contents[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_bytes() in contents
    writer.join()


TABLE: dict[str, object] = {
    "DATABASE_URL": None,
    "DB_POOL_SIZE": 10,
    "DB_MAX_OVERFLOW": 20,
    "DB_POOL_TIMEOUT": 30,
    "DB_POOL_RECYCLE": 3600,
    "DB_POOL_PRE_PING": True,
    "DB_ECHO": False,
    "RABBITMQ_URL": None,
    "MODEL_STORAGE_PATH": None,
    "MODEL_RETENTION_DAYS": 90,
    "MAX_MODEL_VERSIONS_PER_PRODUCT": 10,
    "ENABLE_MODEL_COMPRESSION": True,
    "MODEL_VERSIONING_ENABLED": True,
    "MODEL_BACKUP_ENABLED": True,
    "MAX_CONCURRENT_JOBS": 3,
    "MAX_TRAINING_TIME_MINUTES": 30,
    "MIN_TRAINING_DATA_DAYS": 30,
    "ENABLE_AUTO_DEPLOYMENT": True,
    "PROPHET_WEEKLY_SEASONALITY": "auto",
    "PROPHET_YEARLY_SEASONALITY": "auto",
    "PROPHET_DAILY_SEASONALITY": "false",
    "PROPHET_INTERVAL_WIDTH": 0.9,
    "PROPHET_CHANGEPOINT_PRIOR_SCALE": None,
    "LOG_LEVEL": "INFO",
    "PROPHET_VERBOSE": False,
    "ENABLE_PROFILING": False,
}
OTHERS = {
    "DATABASE_URL": ("postgresql://u@h/d", "postgresql://u@h/d"),
    "RABBITMQ_URL": ("amqp://h", SecretStr("amqp://h")),
    "MODEL_STORAGE_PATH": ("s3://bucket/models", "s3://bucket/models"),
    "PROPHET_WEEKLY_SEASONALITY": ("TRUE", "true"),
    "PROPHET_YEARLY_SEASONALITY": ("False", "false"),
    "PROPHET_DAILY_SEASONALITY": ("Auto", "auto"),
    "PROPHET_INTERVAL_WIDTH": ("0.8", 0.8),
    "PROPHET_CHANGEPOINT_PRIOR_SCALE": ("0.1", 0.1),
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
}
"""A value to set for each variable that is no number and no switch, and what it becomes."""


SPANS = [
    "EVENTS_KEPT_DAYS",
    "MODEL_RETENTION_DAYS",
    "QUARANTINE_DAYS",
    "ACCESS_LOG_DAYS",
    "LOOKBACK_DAYS",
    "DAGSTER_HISTORY_DAYS",
    "LINEAGE_KEPT_DAYS",
    "UNUSUAL_DAYS_RECENT",
    "MIN_TRAINING_DATA_DAYS",
    "SERVING_FORGOTTEN_DAYS",
    "SIGNAL_FRESH_HOURS",
    "SIGNAL_LATE_HOURS",
    "ALERT_CHECKSUM_HOURS",
    "ALERT_BREAKER_MINUTES",
    "ALERT_QUEUE_MINUTES",
    "BREAKER_SALES_SECONDS",
    "BREAKER_WEATHER_SECONDS",
    "BREAKER_TRAFFIC_SECONDS",
    "SERVING_EXPECTED_SECONDS",
    "SERVING_LOOKBACK_HOURS",
]
"""The settings that are reckoned into dates."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TABLE, "PIPELINE_HOME", "MAX_CONCURRENT_TRAINING_JOBS", "WORKERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", TABLE)
def test_defaults_are_what_others_rely_on(name: str) -> None:
    """Every setting that other systems know has its name and default."""
    assert getattr(Settings(), name.lower()) == TABLE[name]


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is the setting's name in capitals."""
    default = TABLE[name]
    flipped = ("0", False) if default is True else ("1", True)
    number = (str(default + 1), default + 1) if isinstance(default, int) and not isinstance(default, bool) else flipped
    text, value = OTHERS.get(name, number)
    monkeypatch.setenv(name, text)
    assert getattr(Settings(), name.lower()) == value


def test_the_old_name_of_the_job_limit_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_CONCURRENT_TRAINING_JOBS is an alias; the setting's own name goes first."""
    monkeypatch.setenv("MAX_CONCURRENT_TRAINING_JOBS", "7")
    assert Settings().max_concurrent_jobs == 7
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", "5")
    assert Settings().max_concurrent_jobs == 5


def test_every_setting_says_what_it_is() -> None:
    """Each field has a description, so that the reference can be generated."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_wrong_value_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names every wrong variable with its value."""
    monkeypatch.setenv("DB_POOL_SIZE", "many")
    monkeypatch.setenv("PROPHET_INTERVAL_WIDTH", "1.5")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=r"DB_POOL_SIZE='many'.*PROPHET_INTERVAL_WIDTH='1\.5'"):
        get_settings()


@pytest.mark.parametrize("name", ["CLOCK_CRON", "PURGE_CRON", "STORAGE_CARE_CRON", "FEEDBACK_CRON"])
def test_every_cron_is_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no cron expression is told by the setting's name, not by a schedule that cannot be made."""
    monkeypatch.setenv(name, "bad")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=f"{name}='bad'.*cron expression"):
        get_settings()


@pytest.mark.parametrize("far", ["99999999999999", "inf"])
@pytest.mark.parametrize("name", SPANS)
def test_no_span_is_longer_than_calendars(name: str, far: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that would reach beyond all dates is refused by name, not by an overflow where it is used."""
    monkeypatch.setenv(name, far)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=f"{name}='{far}'"):
        get_settings()


def test_no_depth_of_json_ends_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds by name that are nested without end are refused in words, as what is no JSON is."""
    monkeypatch.setenv("FRESHNESS_SECONDS_BY_DATASET", "[" * 100_000)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="it must be a JSON object") as raised:
        get_settings()
    assert len(str(raised.value)) < 1000


def test_the_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative PIPELINE_HOME is taken from the working directory, `~` from the user's home."""
    monkeypatch.chdir(tmp_path)
    assert Settings().home == tmp_path / "var"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINE_HOME", "~/x/../y")
    assert Settings().home == tmp_path / "y"


def test_what_is_shared_can_be_read_by_others(tmp_path: Path) -> None:
    """A file for other programs has the rights that the umask leaves; any other one its owner's alone."""
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "metrics", b"1", shared=True)
        write_atomically(tmp_path / "sales", b"1")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "metrics", tmp_path / "sales")] == [0o640, 0o600]
