"""There is always a bread plan: champion, previous champion, seasonal naive, last good forecast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from contracts import DemandClass, ForecastRow, IntervalBand, ModelManifest, Rung
from pipeline.engine.borrowing import Borrowed
from pipeline.engine.closing import closed_ahead
from pipeline.engine.demand import class_of
from pipeline.engine.families import FAMILIES, FAULTS, Recipe
from pipeline.engine.intervals import beyond, by_chance, calibrate, lay, product_scale, quantiles, spread, widening
from pipeline.engine.metrics import seasonal_scales
from pipeline.engine.panel import Bools, Floats
from pipeline.errors import PipelineError
from pipeline.forecasting.borrowed import GROUPS, Lenders, Peers
from pipeline.forecasting.members import predict_all
from pipeline.registry.records import ModelRecord
from pipeline.registry.registry import Registry
from pipeline.registry.store import ArtefactStore
from pipeline.settings import Settings
from pipeline.tables import records
from pipeline.tenant_data import TenantData

NAIVE_WEEKS = 12
"""Past weeks whose naive errors give the naive rung its interval."""
QUANTILE_COLUMNS = ("lower", "q10", "q25", "q50", "q75", "q90", "upper")


@dataclass(frozen=True)
class Line:
    """One product's forecast: (h,) mean and (levels, h) quantiles, and where they come from."""

    y_hat: Floats
    laid: Floats
    rung: Rung
    reason: str
    version: str | None = None


@dataclass
class Ladder:
    """Forecasts a tenant's products, each from the highest rung that holds."""

    data: TenantData
    registry: Registry
    store: ArtefactStore
    settings: Settings
    workers: int
    reasons: dict[str, list[str]] = field(default_factory=dict)
    lent: dict[str, Borrowed] = field(default_factory=dict)
    evaluated_days: int | None = None
    """Days ahead that forecasts without a model were held against; None: all of them."""

    def climb(self, previous: pd.DataFrame | None = None, products: Collection[str] | None = None) -> pd.DataFrame:
        """Return a row per product and day as the contract ForecastRow; discontinued products have none.

        Args:
            previous: the last good forecast, for products that no other rung can serve.
            products: those that are wanted; all when None.
        """
        panel = self.data.panel
        wanted = [
            product
            for product, gone in zip(panel.products, self.data.demand.discontinued, strict=True)
            if not gone and (products is None or product in products)
        ]
        lines = self._modelled(wanted)
        for product in wanted:
            if product not in self.reasons and product not in lines:
                self._note(product, "no model is in use")
        lines |= self._borrowed([product for product in wanted if product not in lines], lines)
        lines |= self._naive([product for product in wanted if product not in lines])
        issued = dt.datetime.now(dt.UTC)
        rows = [row for product in wanted if product in lines for row in self._rows(product, lines[product], issued)]
        left = [product for product in wanted if product not in lines]
        rows += _last_forecast(previous, left, self.data.origin, self.settings.horizon_days)
        frame = pd.DataFrame([row.model_dump() for row in rows], columns=list(ForecastRow.model_fields))
        return frame.astype(dict.fromkeys(("y_hat", *QUANTILE_COLUMNS), float))

    def _note(self, product: str, reason: str) -> None:
        self.reasons.setdefault(product, []).append(reason)

    def _modelled(self, products: Collection[str]) -> dict[str, Line]:
        """The lines of those products that their champion, or else the one before it, can forecast."""
        lines: dict[str, Line] = {}
        for rung, models in self._models.items():
            lines |= self._from_models(rung, {p: models[p] for p in products if p in models and p not in lines})
        return lines

    def _from_models(self, rung: Rung, models: Mapping[str, ModelRecord]) -> dict[str, Line]:
        manifests = {}
        for product, record in models.items():
            try:
                manifests[product] = self.registry.manifest(record.tenant_id, product, record.version)
            except PipelineError as error:
                self._note(product, f"{rung} {record.version}: {error}")
        found = predict_all(tuple(manifests.values()), self.data, self.store, self.settings, self.workers)
        for product, fault in found.faults.items():
            self._note(product, f"{rung} {manifests[product].version}: {fault}")
        closed = closed_ahead(self.data.panel, self.data.outlook, self.settings.horizon_days)
        row_of = self.data.panel.row
        lines = {}
        for product, manifest in manifests.items():
            if product in found.faults:
                continue
            members = [member.weight * found.made[product, member.family] for member in manifest.members]
            shut = closed[row_of[product]]
            y_hat = np.where(shut, 0.0, np.sum(members, axis=0))
            if not np.isfinite(y_hat).all():
                self._note(product, f"{rung} {manifest.version}: its forecast is not finite")
                continue
            lines[product] = self._line(rung, manifest, y_hat, shut)
        return lines

    def _line(self, rung: Rung, manifest: ModelManifest, y_hat: Floats, shut: Bools) -> Line:
        age = (self.data.origin - pd.Timestamp(manifest.origin)).days
        wider, row = widening(age), self.data.panel.row[manifest.product_id]
        # The scale of today, not the manifest's: what ages first is what was known of a product's usual error.
        unit = spread(self._scale[[row]], y_hat[None, :], manifest.horizon)[0]
        laid = np.where(shut, 0.0, lay(y_hat, unit, manifest.bands, wider * beyond(len(y_hat), manifest.horizon)))
        percent = round(100 * (wider - 1))
        told = [f"{age} days old: range {percent} % wider"] if percent else []
        reason = "; ".join([*self.reasons.get(manifest.product_id, []), "in use", *told])
        return Line(y_hat, laid, rung, reason, manifest.version)

    def _borrowed(self, products: Iterable[str], lines: Mapping[str, Line]) -> dict[str, Line]:
        """The lines of products that are too young for a model, where there are others to borrow from."""
        data, demand = self.data, self.data.demand
        young = (demand.data_days < self.settings.min_training_data_days) & (data.panel.started < len(data.panel.dates))
        left = [product for product in products if young[data.panel.row[product]]]
        lenders = Lenders(data, set().union(*self._models.values()))
        ahead, asked = {name: line.y_hat for name, line in lines.items()}, {*lines, *self.reasons}
        found: dict[str, Line] = {}
        for group in GROUPS:
            chosen = {product: peers for product in left if (peers := lenders.of(product, group)) is not None}
            needed = {name for peers in chosen.values() for name in peers.products} - asked
            ahead |= {name: line.y_hat for name, line in self._modelled(sorted(needed)).items()}
            asked |= needed
            for product, peers in chosen.items():
                line = self._line_borrowed(product, lenders, peers, ahead)
                found |= {product: line} if line is not None else {}
            left = [product for product in left if product not in found]
        return found

    def _line_borrowed(self, product: str, lenders: Lenders, peers: Peers, ahead: Mapping[str, Floats]) -> Line | None:
        try:
            found = lenders.lend(product, peers, ahead)
        except FAULTS as error:
            self._note(product, f"{Rung.BORROWED} from {peers.group}: {type(error).__name__}: {error}")
            return None
        if found is None:
            return None
        lent, by = found
        row = self.data.panel.row[product]
        shut = closed_ahead(self.data.panel.take([row]), self.data.outlook, self.settings.horizon_days)[0]
        y_hat = np.where(shut, 0.0, lent.y_hat)
        unit = spread(np.array([lent.scale]), y_hat[None, :], self._evaluated)[0]
        # By its volume alone: most errors of what is mostly not sold are 0, and would leave the range no width.
        laid = lay(y_hat, unit, self._naive_bands[class_of(lent.level, 0.0)], beyond(len(y_hat), self._evaluated))
        self.lent[product] = lent
        self._note(product, by.told)
        return Line(y_hat, np.where(shut, 0.0, by_chance(laid, y_hat)), Rung.BORROWED, "; ".join(self.reasons[product]))

    def _naive(self, products: Iterable[str]) -> dict[str, Line]:
        row_of = self.data.panel.row
        rows = np.array([row_of[product] for product in products], np.int64)
        panel, horizon = self.data.held.panel.take(rows), self.settings.horizon_days
        able: Bools = np.asarray(panel.observed.any(axis=1))
        panel, rows = panel.take(able), rows[able]
        if not len(rows):
            return {}
        naive = FAMILIES["seasonal_naive"].fit(panel, self.data.outlook, Recipe())
        closed = closed_ahead(panel, self.data.outlook, horizon)
        y_hat = np.where(closed, 0.0, naive.predict(panel, self.data.outlook, horizon))
        classes = tuple(self.data.demand.classes[row] for row in rows)
        laid = np.where(closed, 0.0, quantiles(y_hat, self._scale[rows], classes, self._naive_bands, self._evaluated))
        return {
            product: Line(y_hat[i], laid[:, i], Rung.SEASONAL_NAIVE, "; ".join(self.reasons.get(product, [])))
            for i, product in enumerate(panel.products)
        }

    @cached_property
    def _models(self) -> dict[Rung, Mapping[str, ModelRecord]]:
        """The tenant's models by product: those in use, and those before them."""
        tenant_id = self.data.tenant.id
        return {
            Rung.CHAMPION: self.registry.champions(tenant_id),
            Rung.PREVIOUS_CHAMPION: self.registry.previous_champions(tenant_id),
        }

    @property
    def _evaluated(self) -> int:
        return self.evaluated_days or self.settings.horizon_days

    @cached_property
    def _scale(self) -> Floats:
        """(n,) units of a usual error of each of the tenant's products, as of today."""
        return product_scale(seasonal_scales(self.data.held.panel)[0], self.data.demand.level)

    @cached_property
    def _naive_bands(self) -> dict[DemandClass | None, tuple[IntervalBand, ...]]:
        """Bands from the naive's own errors over the last weeks, over all products that the tenant still sells."""
        sold = np.flatnonzero(~self.data.demand.discontinued)
        panel, horizon, errors = self.data.panel.take(sold), self._evaluated, []
        classes = tuple(self.data.demand.classes[row] for row in sold)
        scale = self._scale[sold]
        naive = FAMILIES["seasonal_naive"].fit(panel, self.data.outlook, Recipe())
        for weeks in range(1, NAIVE_WEEKS + 1):
            origin = panel.last - pd.Timedelta(days=7 * weeks)
            if origin < panel.dates[0] + pd.Timedelta(days=7):
                break
            forecast = naive.predict(panel.until(origin), self.data.outlook, horizon)
            start = int(panel.dates.searchsorted(origin, side="right"))
            actual = np.full_like(forecast, np.nan)
            came = panel.quantity[:, start : start + horizon]
            actual[:, : came.shape[1]] = came
            errors.append((classes, (actual - forecast) / spread(scale, forecast)))
        return calibrate(errors)

    def _rows(self, product: str, line: Line, issued: dt.datetime) -> Iterable[ForecastRow]:
        for ahead in range(len(line.y_hat)):
            marks = dict(zip(QUANTILE_COLUMNS, (float(v) for v in line.laid[:, ahead]), strict=True))
            yield ForecastRow(
                tenant_id=self.data.tenant.id,
                product_id=product,
                date=(self.data.origin + pd.Timedelta(days=ahead + 1)).date(),
                origin=self.data.origin.date(),
                horizon=ahead + 1,
                y_hat=float(line.y_hat[ahead]),
                model_version=line.version,
                rung=line.rung,
                reason=line.reason,
                issued_at=issued,
                **marks,
            )


def _last_forecast(
    previous: pd.DataFrame | None, products: list[str], origin: pd.Timestamp, horizon: int
) -> list[ForecastRow]:
    """The rows of the last good forecast that still lie ahead, marked stale."""
    if previous is None or not products:
        return []
    ahead = pd.to_datetime(previous["date"])
    keep = previous["product_id"].isin(products) & (ahead > origin) & (ahead <= origin + pd.Timedelta(days=horizon))
    stale = {"rung": Rung.LAST_FORECAST, "stale": True, "reason": "no other rung holds; the last good forecast"}
    return [ForecastRow.model_validate(row | stale) for row in records(previous[keep])]
