"""Prophet, with the design of `linear`: fitted once, with settings found on the closed form."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts import PartKind
from pipeline.engine.families.base import Recipe, Scope
from pipeline.engine.families.design import (
    CHANGEPOINT_RANGE,
    CHANGEPOINTS,
    DEFAULTS,
    WEEKLY_ORDER,
    YEARLY_ORDER,
    YEARLY_PERIOD,
    covariate,
    lay_design,
)
from pipeline.engine.panel import Floats, Outlook, Panel
from pipeline.engine.parts import LEVEL, TIME_OF_YEAR, WEEKDAY, Part, Parts, gathered, not_below_zero, stacked
from pipeline.errors import FamilyError

FILE = "prophet.json"
GIVEN = "given_"
"""Stands before a covariate's name: the library keeps some words, and the holidays' names, to itself."""
WEEKLY, YEARLY = "weekly", "yearly"
"""The library's names of the seasons."""


class Prophet:
    """Facebook's Prophet through its own library; stored as the library's JSON."""

    name = "prophet"
    scope = Scope.PRODUCT
    voice = "regression"
    stand_in = "linear"
    intermittent = False
    gatekeeper = False

    def fit(self, history: Panel, outlook: Outlook, recipe: Recipe) -> FittedProphet:
        """Fit each product of the history."""
        return FittedProphet(
            {
                product: _fit(history, index, outlook, {**DEFAULTS, **recipe.of(product)}, recipe.seed)
                for index, product in enumerate(history.products)
            }
        )

    def from_files(self, files: Mapping[str, bytes]) -> FittedProphet:
        """Read the models back from the library's JSON."""
        _quiet()
        from prophet.serialize import model_from_json

        try:
            models = {product: model_from_json(text) for product, text in {**json.loads(files[FILE])}.items()}
        except (KeyError, ValueError, TypeError) as error:
            raise FamilyError(f"prophet needs {FILE} with its models as JSON; found {sorted(files)}") from error
        if not models:
            raise FamilyError(f"prophet needs {FILE} with its models as JSON; it holds none")
        return FittedProphet(models)


@dataclass(frozen=True)
class FittedProphet:
    """One library model a product."""

    models: Mapping[str, Any]

    def predict(self, history: Panel, outlook: Outlook, horizon: int) -> Floats:
        """Return (n, horizon) units."""
        forecast = [made["yhat"].to_numpy(float) for _, made in self._forecasts(history, outlook, horizon)]
        return np.asarray(np.maximum(forecast, 0.0))

    def explain(self, history: Panel, outlook: Outlook, horizon: int) -> Parts:
        """Return the library's components: trend, seasons, each holiday and covariate."""
        told = [_components(model, made) for model, made in self._forecasts(history, outlook, horizon)]
        return not_below_zero(stacked(told, horizon))

    def _forecasts(self, history: Panel, outlook: Outlook, horizon: int) -> Iterator[tuple[Any, pd.DataFrame]]:
        """Yield each product's model, and what the library forecasts with it: `yhat` and its components by day."""
        ahead = pd.date_range(history.last + pd.Timedelta(days=1), periods=horizon, freq="D")
        for product in history.products:
            if product not in self.models:
                raise FamilyError(f"this fit of prophet holds {sorted(self.models)[:3]}, not {product!r}")
            model = copy(self.models[product])
            # The fit knows the holidays of its own time; those that have come into sight since are the outlook's.
            if model.train_holiday_names is not None:
                model.holidays = _holidays(model.train_holiday_names, outlook)
            usual = {n.removeprefix(GIVEN): float(given["mu"]) for n, given in model.extra_regressors.items()}
            yield model, model.predict(_frame(ahead, outlook, _row(outlook, product), usual))

    def to_files(self) -> dict[str, bytes]:
        """Return the models as the library's JSON, by product."""
        from prophet.serialize import model_to_json

        stored = {product: model_to_json(model) for product, model in self.models.items()}
        return {FILE: json.dumps(stored, sort_keys=True).encode()}


def _fit(history: Panel, index: int, outlook: Outlook, parameters: Mapping[str, Any], seed: int) -> Any:
    _quiet()
    from prophet import Prophet as Library

    row = _row(outlook, history.products[index])
    design, dates, units = lay_design(history, index, outlook, row, parameters)
    model = Library(
        n_changepoints=min(CHANGEPOINTS, len(design.changepoints)),
        changepoint_range=CHANGEPOINT_RANGE,
        seasonality_mode=parameters["seasonality_mode"],
        changepoint_prior_scale=parameters["changepoint_prior_scale"],
        seasonality_prior_scale=parameters["seasonality_prior_scale"],
        holidays_prior_scale=parameters["holidays_prior_scale"],
        holidays=_holidays(design.holidays, outlook) if design.holidays else None,
        weekly_seasonality=WEEKLY_ORDER if design.weekly else False,
        yearly_seasonality=False,
        daily_seasonality=False,
        uncertainty_samples=0,
    )
    if design.yearly:
        model.add_seasonality(YEARLY, YEARLY_PERIOD, YEARLY_ORDER, prior_scale=design.yearly_prior)
    for regressor in design.regressors:
        model.add_regressor(GIVEN + regressor.name)
    frame = _frame(dates, outlook, row, {r.name: r.mean for r in design.regressors}).assign(y=units)
    # The library leaves its optimiser's files behind until the process ends; a folder of our own is gone at once.
    with tempfile.TemporaryDirectory(prefix="prophet-") as folder:
        model.fit(frame, seed=seed % 2**31, output_dir=folder)
    model.fit_kwargs = {}  # would store the folder's name, another at every fit
    return model


def _components(model: Any, made: pd.DataFrame) -> Parts:
    """(days,) units of each part of a forecast; a multiplicative component is a share of the trend."""
    trend = made["trend"].to_numpy(float)
    parts = {WEEKLY: WEEKDAY, YEARLY: TIME_OF_YEAR}
    if model.train_holiday_names is not None:
        parts |= {name: Part(PartKind.HOLIDAY, name) for name in model.train_holiday_names}
    parts |= {name: Part(PartKind.COVARIATE, name.removeprefix(GIVEN)) for name in model.extra_regressors}
    shares = set(model.component_modes["multiplicative"])
    terms = ((part, made[name].to_numpy(float), name in shares) for name, part in parts.items() if name in made)
    return gathered([(LEVEL, trend), *((part, units * trend if share else units) for part, units, share in terms)])


def _row(outlook: Outlook, product: str) -> int:
    return outlook.products.index(product) if outlook.by_product else -1


def _frame(dates: pd.DatetimeIndex, outlook: Outlook, row: int, usual: Mapping[str, float]) -> pd.DataFrame:
    """The library's input; a missing covariate, or value of one, gets its usual value, as in `linear`."""
    at = outlook.dates.get_indexer(dates)
    columns: dict[str, Any] = {"ds": dates}
    for name, value in usual.items():
        known = name in outlook.covariates or name in outlook.by_product
        values = covariate(outlook, name, row)[at] if known else np.full(len(dates), np.nan)
        columns[GIVEN + name] = np.where(np.isfinite(values), values, value)
    return pd.DataFrame(columns)


def _holidays(names: Iterable[str], outlook: Outlook) -> pd.DataFrame:
    """The library's table of holidays; a name that the outlook no longer knows has no more days."""
    known = [name for name in names if name in outlook.holidays]
    days = [pd.DataFrame({"holiday": name, "ds": outlook.dates[outlook.holidays[name]]}) for name in known]
    return pd.concat(days, ignore_index=True) if days else pd.DataFrame({"holiday": [], "ds": pd.to_datetime([])})


def _quiet() -> None:
    """Silence the libraries: setting the logger's level does not stick, disabling it does."""
    from pipeline.settings import get_settings

    if get_settings().prophet_verbose:
        return
    logging.getLogger("prophet.plot").disabled = True  # complains of absent plot libraries while it is imported
    import prophet  # noqa: F401 - the other loggers are set up by the import

    for name in ("cmdstanpy", "prophet", "prophet.models"):
        logging.getLogger(name).disabled = True
