"""Writes the JSON Schemas of the contracts: `python -m contracts.schemas`."""

from __future__ import annotations

import json
from pathlib import Path

import contracts
from contracts.base import Contract

FOLDER = Path(__file__).parent / "schemas"
PUBLISHED: tuple[type[Contract], ...] = (
    contracts.DailySales,
    contracts.ExtractionReport,
    contracts.Tenant,
    contracts.Product,
    contracts.DatasetMetadata,
    contracts.TrainingMetadata,
    contracts.FreshnessResult,
    contracts.CheckReport,
    contracts.LineageEvent,
    contracts.ServingMetricsWindow,
    contracts.DeploymentHealthState,
    contracts.AccuracyRow,
    contracts.DriftRow,
    contracts.Findings,
    contracts.Metrics,
    contracts.ModelManifest,
    contracts.ForecastRow,
    contracts.Explanation,
    contracts.PlanRow,
    contracts.LedgerRow,
    contracts.JobProgress,
    contracts.AnomalyModel,
    contracts.TrainingCompleted,
    contracts.TrainingFailed,
    contracts.AlertRaised,
    contracts.AlertEnded,
    contracts.TrainingTrigger,
    contracts.SalesImported,
    contracts.TrainingRequest,
    contracts.AdvancedTrainingRequest,
    contracts.BulkTrainingRequest,
    contracts.ForecastRequest,
    contracts.RequestedForecastRow,
    contracts.EvaluationRequest,
    contracts.DataQualityRequest,
    contracts.ModelQuery,
)


def rendered() -> dict[str, str]:
    """Return the JSON text of each published contract's schema, by file name."""
    return {
        f"{contract.__name__}.json": json.dumps(contract.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for contract in PUBLISHED
    }


def main() -> None:
    """Write every schema into `contracts/schemas/` and remove files that no contract owns."""
    FOLDER.mkdir(exist_ok=True)
    texts = rendered()
    for stray in {path.name for path in FOLDER.glob("*.json")} - set(texts):
        (FOLDER / stray).unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
