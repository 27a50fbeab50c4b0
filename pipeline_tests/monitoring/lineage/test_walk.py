"""Walks through the lineage: back to the files, forward to the forecasts, with gaps, late notes and circles."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Role, Versioned
from pipeline.errors import ConfigurationError
from pipeline.home import Home
from pipeline.monitoring.lineage.log import Ref, record
from pipeline.monitoring.lineage.shown import as_records, as_tree
from pipeline.monitoring.lineage.walk import back, forward, versions_like
from pipeline.monitoring.lineage.whole import OTHERS, noted_lately, wholeness
from pipeline.tables import described, write_table
from pipeline_tests.monitoring.lineage.events import (
    BREAD,
    CHAIN,
    FEATURES,
    FEATURES_BUILT,
    FORECAST,
    FORECASTS,
    MODEL,
    MOMENT,
    PROMOTED,
    SALES,
    SALES_BUILT,
    SOURCE,
    TRAINED,
    event,
    written,
)  # fmt: skip

DAY = dt.timedelta(days=1)


def test_a_forecast_leads_back_to_the_files(tmp_path: Path) -> None:
    """From the forecast over model and features to the sales, whose step names the files; nothing is missing."""
    written(tmp_path, CHAIN)
    trail = back(tmp_path, [FORECASTS], "bread")
    assert set(trail.made) == {FORECASTS, BREAD, FEATURES, SALES}
    assert trail.missing == set()
    assert trail.made[SALES].metadata["files"][0]["name"] == "monday.csv"
    tree = as_tree(trail, forward=False)
    order = [tree.index(text) for text in ("shop/forecasts", "shop/bread", "shop/features", "shop/sales", "monday.csv")]
    assert order == sorted(order)
    assert max(map(len, tree.splitlines())) <= 100


def test_a_product_without_a_model_leads_to_its_sales_alone(tmp_path: Path) -> None:
    """A product that no model forecasts comes from the sales."""
    written(tmp_path, CHAIN)
    assert set(back(tmp_path, [FORECASTS], "cake").made) == {FORECASTS, SALES}


def test_steps_of_other_days_are_found(tmp_path: Path) -> None:
    """Each step on a day of its own, and what was made noted before what it was made from: the walk is the same."""
    for number, one in enumerate([FORECAST, TRAINED, FEATURES_BUILT, SALES_BUILT]):
        written(tmp_path, [one], MOMENT + number * DAY)
    trail = back(tmp_path, [FORECASTS])
    assert (set(trail.made), trail.missing) == ({FORECASTS, BREAD, FEATURES, SALES}, set())


def test_a_long_chain_is_shown_as_deep_as_anybody_reads(tmp_path: Path) -> None:
    """A thousand data sets made one from another are walked whole, and the tree ends where it says so."""
    chain = [
        TRAINED.model_copy(
            update={
                "inputs": {Role.DATASET: Versioned(name=f"d{number}", version="1")},
                "outputs": {Role.DATASET: Versioned(name=f"d{number + 1}", version="1")},
                "metadata": {"file_count": "many"},
            }
        )
        for number in range(1200)
    ]
    assert record(tmp_path, chain)
    for trail, forwards in ((back(tmp_path, [Ref("d1200", "1")]), False), (forward(tmp_path, [Ref("d0", "1")]), True)):
        assert len(trail.made) == 1200
        assert "and further (--json)" in as_tree(trail, forward=forwards)


def test_an_event_of_the_edge_of_time_stops_no_check(tmp_path: Path) -> None:
    """Where the first event that is kept is of no moment that can be reckoned with, the next one counts."""
    home, early = (
        Home(tmp_path),
        [
            {**json.loads(TRAINED.model_dump_json()), "event_time": moment}
            for moment in ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "soon")
        ],
    )
    home.lineage.mkdir(parents=True)
    (home.lineage / "lineage-2026-11-01.ndjson").write_text("".join(f"{json.dumps(one)}\n" for one in early))
    written(home.lineage, CHAIN)
    assert wholeness(home, []).gaps == []


def test_a_gap_is_named(tmp_path: Path) -> None:
    """What no event tells of is missing, and the tree says so; the rest of the walk stands."""
    written(tmp_path, [one for one in CHAIN if one is not FEATURES_BUILT])
    trail = back(tmp_path, [FORECASTS])
    assert trail.missing == {FEATURES}
    assert SALES in trail.made
    assert "no event says how it was made" in as_tree(trail, forward=False)
    assert as_records(trail)["missing"] == [FEATURES._asdict()]


def test_a_circle_ends(tmp_path: Path) -> None:
    """Events of others that go round in circles are walked once, both ways."""
    one, other = Ref("a", "1" * 8), Ref("b", "2" * 8)
    written(
        tmp_path, [event("x", {"dataset": one}, {"dataset": other}), event("x", {"dataset": other}, {"dataset": one})]
    )
    assert set(back(tmp_path, [one]).made) == {one, other}
    assert "as above" in as_tree(back(tmp_path, [one]), forward=False)
    assert set(forward(tmp_path, [one]).made) == {one, other}
    assert "as above" in as_tree(forward(tmp_path, [one]), forward=True)


def test_who_tells_less_hides_nothing(tmp_path: Path) -> None:
    """A later event of the same version that names no inputs, as other systems send, does not end the walk."""
    written(tmp_path, CHAIN)
    written(tmp_path, [event("dataset_build_completed", {}, {"dataset": FEATURES})], MOMENT + DAY)
    assert SALES in back(tmp_path, [BREAD]).made
    written(tmp_path, [event("dataset_build_completed", {}, {"dataset": Ref("foreign", "9")})])
    trail = back(tmp_path, [Ref("foreign", "9")])
    assert (set(trail.made), trail.missing) == ({Ref("foreign", "9")}, set())


def test_a_decision_makes_no_model(tmp_path: Path) -> None:
    """A promotion, whatever another system says it put out, is not where a model comes from."""
    written(tmp_path, [TRAINED, event("model_promoted", {}, {"model": BREAD}), PROMOTED])
    assert back(tmp_path, [BREAD]).made[BREAD].event_type == "training_run_completed"


def test_forward_finds_what_was_made_and_decided(tmp_path: Path) -> None:
    """From the sales: features, model, its promotion, and the forecast, also those of later days; not another's."""
    later = Ref("shop/forecasts", "7" * 64)
    written(tmp_path, CHAIN)
    again = event("forecast_completed", {"dataset": SALES}, {"dataset": later}, models={"bread": MODEL})
    stranger = event("forecast_completed", {}, {"dataset": Ref("rival/forecasts", "8" * 64)}, models={"bread": MODEL})
    written(tmp_path, [again, stranger], MOMENT + DAY)
    trail = forward(tmp_path, [SALES])
    assert set(trail.made) == {FEATURES, BREAD, FORECASTS, later}
    assert [step.event_type for step in trail.steps].count("model_promoted") == 1
    assert "model_promoted" in as_tree(trail, forward=True)
    assert set(forward(tmp_path, [BREAD]).made) == {FORECASTS, later}


def test_a_version_stands_for_all_that_bears_it(tmp_path: Path) -> None:
    """A training's version stands for its models, a hash may be cut off, a tenant narrows; an unknown one is told."""
    cake = Ref("rival/cake", MODEL)
    written(tmp_path, [*CHAIN, event("training_run_completed", {}, {"model": cake})])
    assert versions_like(tmp_path, MODEL) == [BREAD, cake]
    assert versions_like(tmp_path, MODEL, "rival") == [cake]
    assert versions_like(tmp_path, "0" * 8) == [SALES]
    with pytest.raises(ConfigurationError, match="no lineage tells of '0000000'"):
        versions_like(tmp_path, "0" * 7)


def test_only_days_that_can_hold_it_are_read(tmp_path: Path) -> None:
    """Forward from a model no file from before its day is opened: one that cannot be read is no fault."""
    (tmp_path / "lineage-2026-10-01.ndjson").mkdir()
    written(tmp_path, CHAIN)
    assert forward(tmp_path, [BREAD]).faults == []
    (fault,) = forward(tmp_path, [SALES]).faults
    assert fault.file == "lineage-2026-10-01.ndjson"


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_walks_agree_with_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int]]
) -> None:
    """Whatever was made from what on whatever day, both ways find just what a search through all events finds."""
    folder = tmp_path_factory.mktemp("walk")
    refs = [Ref(f"d{number}", f"version-{number}") for number in range(10)]
    for one, other, day in steps:
        written(folder, [event("x", {"dataset": refs[one]}, {"dataset": refs[other]})], MOMENT + day * DAY)
    assert set(forward(folder, [refs[0]]).made) == {refs[n] for n in _reached({(a, b) for a, b, _ in steps})}
    makers = {other: one for one, other, _ in steps}
    walked = back(folder, [refs[0]])
    assert (refs[0] in walked.made) == (0 in makers)
    assert all(
        any((a, b) == (refs.index(next(iter(s.inputs.values()))), refs.index(r)) for a, b, _ in steps)
        for r, s in walked.made.items()
    )


def _reached(edges: set[tuple[int, int]]) -> set[int]:
    found, last = set[int](), {0}
    while last:
        last = {b for a, b in edges if a in last} - found
        found |= last
    return found


def _forecast_in_use(home: Home, tenant_id: str) -> Ref:
    import pandas as pd

    frame = pd.DataFrame({"product_id": ["bread"], "date": [dt.date(2026, 11, 2)], "y_hat": [1.0]})
    path = home.table(tenant_id, "forecasts")
    metadata = described(f"{tenant_id}/forecasts", path, frame, ("product_id", "date", "y_hat"), "y_hat")
    write_table(path, frame, metadata)
    return Ref(metadata.dataset_name, metadata.dataset_version)


def test_the_forecast_in_use_is_whole_or_its_gap_is_named(tmp_path: Path) -> None:
    """A chain without a gap passes; one step less, and the version that nothing tells of is named with its tenant."""
    home = Home(tmp_path)
    in_use = _forecast_in_use(home, "shop")
    made = event("forecast_completed", {"dataset": SALES}, {"dataset": in_use}, models={"bread": MODEL})
    path = written(home.lineage, [*CHAIN, made])
    assert (wholeness(home, ["shop"]).forecasts, wholeness(home, ["shop"]).gaps) == (1, [])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    (gap,) = wholeness(home, ["shop", "nobody"]).gaps
    assert (gap.tenant_id, gap.name, gap.version) == ("shop", FEATURES.name, FEATURES.version)


def test_what_is_older_than_lineage_is_no_gap(tmp_path: Path) -> None:
    """A model, or a forecast, from before anything was noted is counted, and is no gap."""
    home = Home(tmp_path)
    in_use = _forecast_in_use(home, "shop")
    made = event("forecast_completed", {"dataset": SALES}, {"dataset": in_use}, models={"bread": "20261101_000000"})
    written(home.lineage, [SALES_BUILT, made])
    found = wholeness(home, ["shop"])
    assert (found.gaps, found.older) == ([], 1)
    home.table("shop", "forecasts").with_suffix(".json").unlink()
    found = wholeness(home, ["shop"])
    assert (found.forecasts, found.gaps, found.older) == (0, [], 1)


def test_damaged_metadata_of_a_forecast_is_a_gap(tmp_path: Path) -> None:
    """Where it cannot be known which forecast is in use, that is told."""
    home = Home(tmp_path)
    _forecast_in_use(home, "shop")
    home.table("shop", "forecasts").with_suffix(".json").write_text("{")
    (gap,) = wholeness(home, ["shop"]).gaps
    assert "cannot be read" in gap.why


def test_the_last_day_is_counted(tmp_path: Path) -> None:
    """Events of the last 24 hours are counted by tenant and type, others' apart; what breaks the contract is told."""
    home = Home(tmp_path)
    old = event("dataset_build_completed", {}, {"dataset": SALES}, MOMENT - 2 * DAY)
    path = written(home.lineage, [*CHAIN, old, event("x", {}, {"dataset": Ref("foreign", "1")})])
    with path.open("ab") as file:
        file.write(TRAINED.model_dump_json().replace('"role"', "").replace("04:00:00Z", "04:00:00").encode() + b"\n")
    noted = noted_lately(home, ["shop"], MOMENT + dt.timedelta(hours=1))
    assert noted.events["shop", "dataset_build_completed"] == 2
    assert noted.events[OTHERS, "x"] == 1
    (fault,) = noted.faults
    assert (fault.line, "timezone" in fault.fault) == (8, True)
    assert SOURCE.name not in {whose for whose, _ in noted.events}
