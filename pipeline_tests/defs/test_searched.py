"""What the UI shows of a search."""

from __future__ import annotations

from contracts import DemandClass, TrialRecord, TuningRecord
from pipeline.defs.training.searched import search_metadata
from pipeline.engine.tuning import Tuned


def record(*values: tuple[str, float | None]) -> TuningRecord:
    """Return a search whose trials had these states and errors."""
    return TuningRecord(
        demand_class=DemandClass.HIGH,
        sampler="tpe",
        pruner="median",
        folds=4,
        products=3,
        best={"seasonality_mode": "multiplicative", "holidays_prior_scale": 0.25},
        importance={"seasonality_mode": 0.9, "holidays_prior_scale": 0.004},
        trials=tuple(TrialRecord(number=n, state=state, value=value) for n, (state, value) in enumerate(values)),
    )


def test_a_search_is_told() -> None:
    """The table names class, trials, best error, settings and what mattered; a trial given up is no best error."""
    tuned = Tuned({}, {DemandClass.HIGH: record(("complete", 1.0), ("pruned", None), ("complete", 0.91))})
    text = search_metadata(tuned)["search"].value
    assert (
        "| high | 3 | 0.910 | holidays_prior_scale 0.25, seasonality_mode multiplicative | seasonality_mode 90% |"
        in text
    )
    assert "data:image/svg+xml;base64," in text


def test_without_a_search_nothing_is_told() -> None:
    """A run that trained nothing, or untuned, has no such entry."""
    assert search_metadata(Tuned()) == {}
