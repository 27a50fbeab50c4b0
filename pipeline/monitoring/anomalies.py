"""A tenant's unusual days: settings that stand until the data move, the days judged by them, and what to tell."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from contracts import AnomalyModel, AnomalySettings, AnomalyTrial
from pipeline.engine.anomaly.detect import judge, recent
from pipeline.engine.anomaly.forest import Settings as ForestSettings
from pipeline.engine.anomaly.tuning import tune
from pipeline.engine.observe import observe
from pipeline.engine.panel import Panel
from pipeline.errors import EngineError
from pipeline.home import Home, write_atomically
from pipeline.settings import Settings
from pipeline.tenant_data import TenantData
from pipeline.training.fingerprint import fingerprints, of_tenant
from pipeline.training.recipes import CODE_VERSION

LIBRARIES = ("numpy", "optuna", "scikit-learn")


@dataclass(frozen=True)
class Judged:
    """A tenant's days as `pipeline.engine.anomaly.detect.judge` gives them, and the model that judged them.

    `model` is None, and `days` empty, where too few days are known; `reason` says why the model was found anew, why
    an earlier one stands, or what is lacking.
    """

    days: pd.DataFrame
    model: AnomalyModel | None
    reason: str


def judge_days(data: TenantData, home: Home, settings: Settings) -> Judged:
    """Judge a tenant's recent days, with the stored settings where they still stand, else with new ones.

    New settings are stored. A tenant of too few days has no model; nothing is stored then.
    """
    panel, path = recent(data.panel), home.anomaly_model(data.tenant.id)
    model, reason = _standing(path, data, settings)
    if model is None:
        try:
            model = _found(panel, data, settings)
        except EngineError as error:
            return Judged(judge(panel.take([]), data.outlook, ForestSettings(), 1.0, settings.seed), None, str(error))
        write_atomically(path, model.model_dump_json(indent=2).encode())
    return Judged(judge(panel, data.outlook, grown_from(model), model.alarm, model.seed), model, reason)


def grown_from(model: AnomalyModel) -> ForestSettings:
    """Return the settings of the forest that a model stands for."""
    return ForestSettings(**model.settings.model_dump())


def to_show(days: pd.DataFrame, origin: pd.Timestamp, settings: Settings) -> pd.DataFrame:
    """Return the unusual days among the last UNUSUAL_DAYS_RECENT up to the origin, the most surprising first."""
    late = pd.to_datetime(days["date"]) > origin - pd.Timedelta(days=settings.unusual_days_recent)
    shown = days[days["unusual"] & late]
    return shown.sort_values("surprise", ascending=False, kind="stable", ignore_index=True)


def _standing(path: Path, data: TenantData, settings: Settings) -> tuple[AnomalyModel | None, str]:
    """The stored model where it still stands, and why it does or does not."""
    if not path.exists():
        return None, "found for the first time"
    try:
        model = AnomalyModel.model_validate_json(path.read_bytes())
    except ValidationError as error:
        return None, f"found anew: the stored settings cannot be read ({error.error_count()} faults)"
    age = (data.origin - pd.Timestamp(model.origin)).days
    if (model.code_version, model.seed) != (CODE_VERSION, settings.seed):
        return None, "found anew: the code or the seed has changed"
    if not 0 <= age < settings.retrain_after_days:
        return None, f"found anew: {age} days since the last settings, {settings.retrain_after_days} allowed"
    if model.data_fingerprint != _fingerprint(recent(observe(data.sales, data.outlook, pd.Timestamp(model.origin)))):
        return None, f"found anew: sales up to {model.origin} were corrected"
    return model, f"as found on sales up to {model.origin}"


def _found(panel: Panel, data: TenantData, settings: Settings) -> AnomalyModel:
    started = time.perf_counter()
    tuned = tune(panel, data.outlook, settings.seed)
    return AnomalyModel(
        tenant_id=data.tenant.id,
        created_at=dt.datetime.now(dt.UTC),
        origin=data.origin.date(),
        data_fingerprint=_fingerprint(panel),
        code_version=CODE_VERSION,
        libraries={name: version(name) for name in LIBRARIES},
        seed=settings.seed,
        settings=_settings(tuned.settings),
        alarm=tuned.alarm,
        f1=tuned.f1,
        average_precision=tuned.average_precision,
        precision=tuned.precision,
        recall=dict(tuned.recall),
        injected=dict(tuned.injected),
        days=tuned.days,
        trials=tuple(AnomalyTrial(settings=_settings(trial.settings), f1=trial.f1) for trial in tuned.trials),
        seconds=time.perf_counter() - started,
    )


def _settings(grown: ForestSettings) -> AnomalySettings:
    return AnomalySettings(
        n_estimators=grown.n_estimators, contamination=grown.contamination, max_samples=grown.max_samples
    )


def _fingerprint(panel: Panel) -> str:
    return of_tenant(sorted(fingerprints(panel).values()), "anomaly")
