"""The sensor `failed_runs`: a run that fails raises an alert, the next that succeeds ends it."""

from __future__ import annotations

import signal
from typing import Any

import dagster as dg
import pytest

from contracts import Severity
from pipeline.defs.ingestion import assets as ingestion
from pipeline.defs.monitoring import alerts as alerts_module
from pipeline.defs.resources import InstallationResource
from pipeline.registry.records import AlertRecord
from pipeline_tests.defs import tills
from pipeline_tests.defs.world import ODD, TWIN, World, definitions


def look(world: World, cursor: str | None = None) -> tuple[str, str]:
    """Let the sensor look once; return why it asks for no run, and its cursor."""
    sensor = definitions().resolve_sensor_def("failed_runs")
    with world.instance() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"installation": InstallationResource()}, cursor=cursor
        )
        found = sensor(context)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or "", context.cursor or ""


def alerts(world: World) -> list[AlertRecord]:
    """The open alerts."""
    with world.entered() as installation:
        return installation.registry.alerts()


@pytest.fixture
def broken(copy: World) -> World:
    """A world whose twin's sales file is gone, and whose run has failed for it."""
    place = copy.root / "exports" / "twin.csv"
    copy.add(TWIN, place)
    place.unlink(missing_ok=True)
    assert not copy.run(TWIN).success
    return copy


def test_a_failed_run_raises_one_alert(broken: World) -> None:
    """It names job, tenant, cause and what helps; another look, with its cursor or without, raises nothing more."""
    told, cursor = look(broken)
    assert "an alert was raised: train_and_forecast of twin failed" in told
    (alert,) = alerts(broken)
    assert (alert.kind, alert.tenant_id, alert.subject) == ("run_failed", TWIN, "train_and_forecast")
    assert (alert.severity, alert.times) == (Severity.MEDIUM, 1)
    assert "sales: SourceNotFoundError: " in alert.message
    assert str(broken.root / "exports" / "twin.csv") in alert.message
    assert alert.action == "Mend the sales or covariates file that the message names."
    for again in (cursor, None):
        assert look(broken, again)[0] == "no run has failed since; open alerts: 1, see `pipeline alerts list`"
    assert [alert.times for alert in alerts(broken)] == [1]


def test_a_second_failure_counts(broken: World) -> None:
    """The same run failing twice more is the same alert, seen three times."""
    _, cursor = look(broken)
    for _ in range(2):
        broken.run(TWIN)
    look(broken, cursor)
    assert [alert.times for alert in alerts(broken)] == [3]


def test_the_next_success_ends_it(broken: World) -> None:
    """Another job's success does not; that of the same job does."""
    _, cursor = look(broken)
    tills.write(tills.steady("Bun", days=40), broken.root / "exports" / "twin.csv")
    assert broken.run(TWIN, "check_data").success
    assert look(broken, cursor)[0].startswith("no run has failed since; open alerts: 1")
    assert broken.run(TWIN).success
    told, _ = look(broken, cursor)
    assert told == "an alert has ended: train_and_forecast of twin succeeded"
    assert alerts(broken) == []


def test_what_ended_while_nobody_looked_is_found(broken: World) -> None:
    """A first look finds a failure that was mended since, and says both; nothing stays open."""
    tills.write(tills.steady("Bun", days=40), broken.root / "exports" / "twin.csv")
    assert broken.run(TWIN).success
    told, _ = look(broken)
    assert told == (
        "an alert was raised: train_and_forecast of twin failed; an alert has ended: train_and_forecast of twin "
        "succeeded"
    )
    assert alerts(broken) == []


def test_what_is_done_by_hand_is_told_apart(copy: World) -> None:
    """Another asset, or another partition, that is materialized by hand ends no alert; the same one does."""

    def end(asset: str, partition: str, *, well: bool) -> None:
        with copy.instance() as instance:
            job = definitions().resolve_implicit_global_asset_job_def()
            run = instance.create_run_for_job(
                job, tags={"dagster/partition": partition}, asset_selection=frozenset({dg.AssetKey(asset)})
            )
            if well:
                ended = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name, message="done")
                instance.report_dagster_event(ended, run.run_id)
            else:
                instance.report_run_failed(run)
        look(copy)

    look(copy)
    end("features", TWIN, well=False)
    (alert,) = alerts(copy)
    assert (alert.tenant_id, alert.subject) == (TWIN, f"features of {TWIN}")
    for asset, partition in (("calendar", TWIN), ("features", ODD)):
        end(asset, partition, well=True)
        assert [one.id for one in alerts(copy)] == [alert.id]
    end("features", TWIN, well=True)
    assert alerts(copy) == []


def test_a_killed_run_raises_an_alert(copy: World) -> None:
    """A run that ends without a failed step, as when its process is killed, is told in the words of its end."""
    with copy.instance() as instance:
        run = instance.create_run_for_job(definitions().resolve_job_def("care_for_storage"))
        instance.report_run_failed(run, "its process was killed")
    look(copy)
    (alert,) = alerts(copy)
    assert (alert.tenant_id, alert.subject) == ("", "care_for_storage")
    assert "its process was killed" in alert.message
    assert alert.action == "Run it again: what was finished is kept, the rest is done then."


def test_a_run_that_was_interrupted_raises_no_alert(copy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the command line that Ctrl-C ends is cancelled in Dagster, and no alert comes of it."""
    monkeypatch.setattr(ingestion, "extract_sales", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    result = copy.run(TWIN)
    assert (result.success, result.cancelled, result.errors) == (False, True, ())
    with copy.instance() as instance:
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert look(copy)[0] == "no run has failed since"


def test_a_run_that_nobody_asked_to_stop_is_told_as_interrupted(copy: World) -> None:
    """Where Dagster alone was told to stop, as at a shutdown, the alert says to run it again, not to report it."""
    with copy.instance() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingestion, "extract_sales", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        job = definitions().resolve_job_def("check_data")
        job.execute_in_process(instance=instance, partition_key=TWIN, raise_on_error=False)
    look(copy)
    (alert,) = alerts(copy)
    assert "Execution was interrupted unexpectedly" in alert.message
    assert (alert.severity, alert.action) == (
        Severity.MEDIUM,
        "Run it again: what was finished is kept, the rest is done then.",
    )


def test_logs_are_read_of_news_alone(broken: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that was noted before costs no look into its run's log, however often it is looked at again."""
    read: list[str] = []
    all_logs = dg.DagsterInstance.all_logs

    def counted(self: dg.DagsterInstance, run_id: str, **options: Any) -> Any:
        read.append(run_id)
        return all_logs(self, run_id, **options)

    monkeypatch.setattr(dg.DagsterInstance, "all_logs", counted)
    for _ in range(3):
        look(broken)
    assert len(read) == 1


def test_many_failures_are_noted_in_portions(copy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look reads so many logs and says where the next begins; all are noted, each once, and the cursor gets on."""
    monkeypatch.setattr(alerts_module, "AT_ONCE", 2)
    with copy.instance() as instance:
        for name in ("check_data", "daily_forecast", "train_and_forecast", "retrain_products", "care_for_storage"):
            run = instance.create_run_for_job(definitions().resolve_job_def(name))
            instance.report_run_failed(run, "its process was killed")
    cursor, seen = None, []
    for _ in range(4):
        told, cursor = look(copy, cursor)
        seen.append((len(alerts(copy)), "are looked at next" in told, cursor))
    assert [(open_, more) for open_, more, _ in seen] == [(2, True), (4, True), (5, False), (5, False)]
    assert [at for *_, at in seen] == sorted({at for *_, at in seen})
    assert {alert.times for alert in alerts(copy)} == {1}
