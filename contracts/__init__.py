"""What crosses a boundary: validated shapes and their JSON Schemas. Imports nothing of the pipeline."""

from contracts.anomalies import AnomalyModel, AnomalySettings, AnomalyTrial
from contracts.base import SCHEMA_VERSION, Contract
from contracts.datasets import DatasetMetadata
from contracts.explanations import Explanation, ForecastPart, MemberForecast, PartKind
from contracts.forecasts import ForecastRow, Rung
from contracts.metrics import Grade, Metrics
from contracts.models import (
    ArtefactRef,
    IntervalBand,
    Member,
    ModelManifest,
    ModelType,
    TrialRecord,
    TuningRecord,
)
from contracts.planning import Cause, LedgerRow, Outcome, PlanRow
from contracts.products import DemandClass, Product
from contracts.sales import (
    DailySales,
    DayStatus,
    ExtractionReport,
    FaultKind,
    ProductFault,
    RejectedRow,
    Rejection,
    SetAside,
)
from contracts.tenants import (
    ClosingDays,
    ColumnMapping,
    CovariateKind,
    CovariateSource,
    FileSource,
    QuietHours,
    Tenant,
)

__all__ = [
    "SCHEMA_VERSION",
    "AnomalyModel",
    "AnomalySettings",
    "AnomalyTrial",
    "ArtefactRef",
    "Cause",
    "ClosingDays",
    "ColumnMapping",
    "Contract",
    "CovariateKind",
    "CovariateSource",
    "DailySales",
    "DatasetMetadata",
    "DayStatus",
    "DemandClass",
    "Explanation",
    "ExtractionReport",
    "FaultKind",
    "FileSource",
    "ForecastPart",
    "ForecastRow",
    "Grade",
    "IntervalBand",
    "LedgerRow",
    "Member",
    "MemberForecast",
    "Metrics",
    "ModelManifest",
    "ModelType",
    "Outcome",
    "PartKind",
    "PlanRow",
    "Product",
    "ProductFault",
    "QuietHours",
    "RejectedRow",
    "Rejection",
    "Rung",
    "SetAside",
    "Tenant",
    "TrialRecord",
    "TuningRecord",
]
