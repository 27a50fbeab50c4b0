"""Conditions: each raises one alert while it holds, ends when it is well, and says nothing where nothing is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import update

from contracts import Measured, Priority, Severity
from pipeline.installation import Installation
from pipeline.monitoring.conditions import CHANGES, KINDS, LONGEST, Look, Memory, look, note
from pipeline.monitoring.metrics.read import Waiting
from pipeline.registry.alerts import Subject, Trouble
from pipeline.registry.records import AlertRecord
from pipeline.registry.tables import CircuitBreaker
from pipeline_tests.monitoring.metrics.scraped import aged, deployment, fill, find, made, served, trained, unread
from pipeline_tests.registry.builders import manifest, start

NOON = dt.datetime(2030, 3, 1, 12, 0, tzinfo=dt.UTC)


def after(minutes: float) -> dt.datetime:
    """A moment of the day."""
    return NOON + dt.timedelta(minutes=minutes)


def queue(depth: int) -> list[Waiting]:
    """So many runs that wait."""
    return [Waiting(Priority.LOW, NOON)] * depth


class Watch:
    """The sensor's work, look by look."""

    def __init__(self, opened: Installation) -> None:
        self.opened, self.memory = opened, Memory()
        self.told: list[str] = []
        self.last: Look | None = None

    def at(self, minutes: float, depth: int = 0) -> dict[str, AlertRecord]:
        """Look once; return the open alerts by kind and subject."""
        self.last = look(self.opened, queue(depth), self.memory, after(minutes))
        self.told = list(note(self.opened.registry, self.last, after(minutes)))
        # As the cursor of the sensor keeps it.
        self.memory = Memory.read(self.last.memory.model_dump_json())
        return {f"{one.kind} {one.tenant_id} {one.subject}": one for one in self.opened.registry.alerts(limit=None)}


def found(opened: Installation, tenant: str = "bakery", **reasons: Mapping[str, str]) -> None:
    """Let products be found whose newest models stand."""
    products = {product for named in reasons.values() for product in named}
    trained(opened, tenant, *sorted(products - set(opened.registry.latest(tenant))))
    find(opened.home, tenant, **reasons)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A watch over an installation of two tenants in which nothing has happened."""
    return Watch(made(tmp_path, "bakery", "cafe"))


def test_where_nothing_is_known_nothing_is_said(watch: Watch) -> None:
    """No file and no row is no alert."""
    assert watch.at(0) == {}
    assert watch.told == []


def test_everything_at_once(watch: Watch) -> None:
    """What has happened of every kind is an alert each, with severity, message and what helps."""
    fill(watch.opened)
    unread(watch.opened.home, cafe="DataError: the sales are torn")
    trained(watch.opened, "bakery", "rye", "roll", "bun")
    with watch.opened.registry._writing() as connection:
        connection.execute(update(CircuitBreaker).values(opened_at=after(-6), last_error="ConnectError: refused"))
    watch.at(-10, depth=21)
    found = watch.at(0, depth=21)
    assert {one.kind for one in found.values()} == KINDS | {"run_failed"}
    assert all(one.message and one.action for one in found.values())
    assert (
        found["breaker_open bakery sales:bakery"].message
        == "left alone since 2030-03-01 11:54 UTC: ConnectError: refused"
    )
    assert found["products_stale bakery data"].message == "1 product: rye; rye: the last sale is 3 days old"
    assert found["deployment_unwell  b"].severity is Severity.HIGH
    assert found["checksum_failed  artefacts"].severity is Severity.HIGH
    coverage = found["coverage_out_of_range bakery coverage"]
    assert coverage.message == "70.0% of 280 product days lay inside the range, 80% to 99% should"
    assert found["demand_drift bakery products"].message == "2 products: bun, roll; bun: less"


def test_what_still_holds_is_told_once(watch: Watch) -> None:
    """Another look at the same raises, counts and tells nothing; what is said anew is counted."""
    found(watch.opened, drift={"rye": "more"})
    assert len(watch.at(0)) == 1
    assert [event.type for event in watch.opened.registry.events(limit=10)] == ["alert_raised"]
    (alert,) = watch.at(1).values()
    assert (alert.times, watch.told) == (1, [])
    found(watch.opened, drift={"rye": "more", "bun": "less"})
    (alert,) = watch.at(2).values()
    assert (alert.times, watch.told) == (2, [])
    assert len(watch.opened.registry.events(limit=10)) == 1


def test_what_is_well_again_ends(watch: Watch) -> None:
    """The alert ends, is told as ended, and may begin anew."""
    home = watch.opened.home
    aged(home, ("bakery", "rye", "data", "STALE"))
    served(home, deployment("a", "degraded"))
    assert len(watch.at(0)) == 2
    aged(home, ("bakery", "rye", "data", "FRESH"))
    served(home, deployment("a", "healthy"))
    assert watch.at(1) == {}
    assert sorted(watch.told) == [
        "an alert has ended: deployment_unwell: a",
        "an alert has ended: products_stale: data",
    ]
    served(home, deployment("a", "unhealthy"))
    assert list(watch.at(2)) == ["deployment_unwell  a"]


def test_a_breaker_is_an_alert_after_five_minutes(watch: Watch) -> None:
    """A trial that fails meanwhile does not begin the time anew; a success ends the alert."""
    registry = watch.opened.registry
    registry.count_failure("weather:api.example", "refused")
    registry.open_breaker("weather:api.example")
    with registry._writing() as connection:
        connection.execute(update(CircuitBreaker).values(opened_at=NOON))
    assert watch.at(4.9) == {}
    (breaker,) = registry.breakers()
    registry.begin_trial("weather:api.example", breaker.changed_at)
    assert list(watch.at(5)) == ["breaker_open  weather:api.example"]
    registry.open_breaker("weather:api.example")
    assert len(watch.at(6)) == 1
    assert watch.told == []
    registry.close_breaker("weather:api.example")
    assert watch.at(7) == {}


def test_a_queue_is_an_alert_when_it_stays_long(watch: Watch) -> None:
    """More than twenty for ten minutes on end; shorter for one look begins the time anew, and ends the alert."""
    assert [watch.at(minute, depth) for minute, depth in ((0, 21), (9, 30), (10, 20), (11, 21), (20.9, 99))] == [{}] * 5
    assert list(watch.at(21, 21)) == ["queue_long  queue"]
    assert watch.at(22, 20) == {}


def test_a_broken_file_is_an_alert_for_a_day(watch: Watch) -> None:
    """It ends 25 hours after it was last met: the nightly check meets what is broken again."""
    registry = watch.opened.registry
    assert watch.at(0) == {}
    registry.count_broken("artefact")
    assert list(watch.at(1)) == ["checksum_failed  artefacts"]
    hour = 60
    registry.count_broken("manifest")
    assert len(watch.at(24 * hour)) == 1
    assert len(watch.at(48 * hour)) == 1
    assert watch.at(49 * hour) == {}


def test_a_lost_cursor_loses_no_broken_file(watch: Watch) -> None:
    """What was met before anybody looked, or before the cursor was lost, is an alert."""
    watch.opened.registry.count_broken("artefact")
    assert list(watch.at(0)) == ["checksum_failed  artefacts"]
    watch.memory = Memory.read("no json")
    assert len(watch.at(1)) == 1
    assert watch.told == []


@pytest.mark.parametrize(
    ("value", "days", "holds"),
    [(0.79, 280, True), (0.8, 280, False), (0.99, 280, False), (0.995, 280, True), (0.1, 99, False), (0.1, 100, True)],
)
def test_coverage_is_judged_on_enough_days(watch: Watch, value: float, days: int, holds: bool) -> None:
    """Below 80 % or above 99 % on at least a hundred product days."""
    find(watch.opened.home, coverage=Measured(value=value, days=days))
    assert bool(watch.at(0)) is holds


def test_a_file_that_cannot_be_read_ends_nothing(watch: Watch) -> None:
    """Its alerts stay as they are and it is told of; those of other tenants and files go on."""
    home = watch.opened.home
    found(watch.opened, "bakery", drift={"rye": "more"})
    found(watch.opened, "cafe", drift={"bun": "more"})
    assert len(watch.at(0)) == 2
    (home.tenant("bakery") / "findings.json").write_text("{")
    find(home, "cafe")
    assert list(watch.at(1)) == ["demand_drift bakery products"]
    assert watch.last is not None
    (fault,) = watch.last.faults
    assert "bakery/findings.json cannot be read" in fault


def test_a_tenant_that_cannot_be_looked_at_is_late_still(watch: Watch) -> None:
    """Its stale products are an alert on, though the table has them no more, and that it is unreadable is one, too."""
    home = watch.opened.home
    aged(home, ("bakery", "rye", "data", "STALE"), ("cafe", "bun", "data", "STALE"))
    assert set(watch.at(0)) == {"products_stale bakery data", "products_stale cafe data"}
    aged(home)
    unread(home, bakery="DataError: the sales are torn")
    assert set(watch.at(1)) == {"products_stale bakery data", "tenant_unreadable bakery freshness"}
    unread(home)
    assert watch.at(2) == {}


def test_what_a_training_has_answered_holds_no_more(watch: Watch) -> None:
    """A finding is about a product's newest model: a newer one ends its alert."""
    found(watch.opened, drift={"rye": "more"}, accuracy={"bun": "worse"})
    assert set(watch.at(0)) == {"demand_drift bakery products", "accuracy_falling bakery products"}
    registry = watch.opened.registry
    registry.register(manifest(start(registry), product_id="rye", version="20300301_120000"))
    assert set(watch.at(1)) == {"accuracy_falling bakery products"}


def test_a_tenant_that_is_gone_leaves_no_alert(watch: Watch) -> None:
    """Nobody would end it."""
    found(watch.opened, "cafe", drift={"bun": "more"})
    assert len(watch.at(0)) == 1
    (watch.opened.home.tenants / "cafe.toml").unlink()
    assert watch.at(1) == {}


def test_others_alerts_are_left_alone(watch: Watch) -> None:
    """Those of failed runs are for the sensor that raised them."""
    watch.opened.registry.note_trouble(Subject("run_failed", "", "purge"), Trouble(Severity.LOW, "x", "y"), NOON)
    assert list(watch.at(1)) == ["run_failed  purge"]


def test_a_look_changes_no_more_than_it_has_time_for(watch: Watch) -> None:
    """Where more goes wrong or well at once than a look may note, the next looks note the rest; nothing is lost."""
    names = [f"server-{number}" for number in range(CHANGES + 5)]
    served(watch.opened.home, *(deployment(name, "unhealthy") for name in names))
    assert len(watch.at(0)) == CHANGES
    assert watch.told[-1] == "5 alerts more are raised or ended at the next look"
    assert len(watch.at(1)) == CHANGES + 5
    served(watch.opened.home)
    assert (len(watch.at(2)), watch.at(3)) == (5, {})


def test_messages_are_bounded_and_hold_no_secret(watch: Watch) -> None:
    """However many products and however long their reasons, a message is short; a password in it is not shown."""
    found(watch.opened, drift={f"p{number:03}": "https://ana:secret@host/ " + "x" * 5000 for number in range(99)})
    (alert,) = watch.at(0).values()
    assert alert.message.startswith("99 products: p000, p001, p002, p003, p004 and 94 more; p000: ")
    assert len(alert.message) == LONGEST
    assert "secret" not in alert.message
