"""Past origins: which, evaluated how, kept by content."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.engine.evaluate import OriginForecasts, at_origin, score, table
from pipeline.engine.families import FAMILIES
from pipeline.errors import ConfigurationError
from pipeline.training.evaluation import (
    ARRAYS,
    Evaluation,
    Origins,
    faults_of,
    honesty,
    measured,
    past_origins,
)
from pipeline.training.recipes import evaluated_families, families_of, recipes
from pipeline_tests.training.shop import LENGTH, Shop, sales_of


def origins_of(shop: Shop) -> Origins:
    """Return the shop's past origins."""
    return Origins(shop.data(), folder_of(shop), shop.installation.settings)


def folder_of(shop: Shop) -> Path:
    """Return where the shop's origins are kept."""
    return shop.installation.home.tenant("bakery") / "evaluated"


def kept(shop: Shop) -> dict[str, int]:
    """Return the time of change of each kept origin, by file name."""
    return {path.name: path.stat().st_mtime_ns for path in folder_of(shop).glob("*.npz")}


def equal(one: OriginForecasts, two: OriginForecasts) -> bool:
    """Say whether two origins hold the same, bit by bit."""
    words = all(getattr(one, name) == getattr(two, name) for name in ("origin", "products", "classes", "faults"))
    numbers = all(np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True) for name in ARRAYS)
    made = one.families.keys() == two.families.keys()
    return (
        words
        and numbers
        and made
        and all(np.array_equal(one.families[name], two.families[name], equal_nan=True) for name in one.families)
    )


def test_origins_are_a_horizon_apart(fresh: Shop) -> None:
    """The last origin lies one horizon before the end, the others a horizon before each other."""
    data = fresh.data()
    found = past_origins(data, fresh.installation.settings.model_copy(update={"evaluation_origins": 3}))
    assert [(data.origin - origin).days for origin in found] == [21, 14, 7]


@pytest.mark.parametrize(("days", "count"), [(36, 0), (37, 1), (44, 2), (100, 2)])
def test_history_limits_the_origins(fresh: Shop, days: int, count: int) -> None:
    """An origin needs the minimum of days before it; where there is none the words say so."""
    data = fresh.sell({"rye": np.where(np.arange(days) % 7 == 6, 0, 20.0)}, "short")
    assert len(past_origins(data, fresh.installation.settings)) == count
    assert Evaluation(()).nesting == "not evaluated: too little history for a past origin"


def test_families_with_a_stand_in_are_not_refitted(fresh: Shop) -> None:
    """Prophet is evaluated by its stand-in; a family that is switched off takes no part."""
    settings = fresh.installation.settings
    assert set(evaluated_families(settings)) == set(FAMILIES) - {"prophet", "lightgbm_direct"}
    with_all = settings.model_copy(update={"without_families": ""})
    assert set(evaluated_families(with_all)) == set(FAMILIES) - {"prophet"}


def test_trees_given_by_hand_are_grown_so(fresh: Shop) -> None:
    """What is set of the trees is in both boosters' recipes and in no other's; what is unset is left to the family."""
    changes = {"without_families": "", "lightgbm_n_estimators": 50, "lightgbm_colsample_bytree": 0.5}
    made = recipes(fresh.installation.settings.model_copy(update=changes))
    for name in ("lightgbm", "lightgbm_direct"):
        assert made[name].parameters == {"n_estimators": 50, "colsample_bytree": 0.5}
    assert "n_estimators" not in made["linear"].parameters
    data = fresh.sell(sales_of())
    booster = FAMILIES["lightgbm"].fit(data.panel, data.outlook, made["lightgbm"]).booster
    assert booster.num_trees() == 50


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("linaer", "'linaer' is none of ets, lightgbm, lightgbm_direct, linear"),
        ("ets, seasonal_naive", "'seasonal_naive' is none of"),
        ("linear,prophet,lightgbm,lightgbm_direct,ets,theta", "leaves no family for products that sell on most days"),
        ("linear", "'prophet' needs 'linear', whose errors stand for its own; leave out both or none"),
    ],
)
def test_families_that_cannot_be_left_out_are_named(fresh: Shop, without: str, said: str) -> None:
    """A family that does not exist, a gatekeeper, or one that another needs cannot be left out; the text says which."""
    settings = fresh.installation.settings.model_copy(update={"without_families": without})
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        families_of(settings)


def test_an_origin_comes_back_as_it_was(fresh: Shop) -> None:
    """What is kept of an origin is read back bit by bit, its faults included, and is not evaluated again."""
    first = origins_of(fresh)
    tasks = first.missing
    assert first.progress == (0, 2)
    made = [at_origin(task) for task in tasks]
    made[0].faults["rye", "linear"] = "FamilyError: an accent: café"
    for one in made:
        first.add(one)
    assert first.missing == []
    again = origins_of(fresh)
    assert (again.missing, again.progress) == ([], (2, 2))
    back = again.evaluation().scored
    assert all(equal(one, two) for one, two in zip(made, back, strict=True))
    assert faults_of(back, "rye") == (f"linear at {made[0].origin.date()}: FamilyError: an accent: café",)
    assert faults_of(back, "tart") == ()
    assert "2 rolling origins" in again.evaluation().nesting


def test_other_sales_or_settings_are_evaluated_anew(trained: Shop) -> None:
    """An origin that saw a corrected day, or other settings, is missing again, and what was kept is removed."""
    assert origins_of(trained).progress == (2, 2)
    sales = sales_of()
    sales["tart"][LENGTH - 3] += 1
    trained.sell(sales)
    assert origins_of(trained).progress == (1, 2)
    assert len(kept(trained)) == 1
    trained.configure(seed=9)
    assert origins_of(trained).progress == (0, 2)
    assert kept(trained) == {}


def test_a_new_day_moves_the_origins(trained: Shop) -> None:
    """With a day more there are other origins; nothing of the old ones is used or kept."""
    trained.sell(sales_of(LENGTH + 1))
    assert origins_of(trained).progress == (0, 2)
    assert kept(trained) == {}


@pytest.mark.parametrize("content", [b"", b"torn", b"PK\x03\x04 torn"])
def test_a_damaged_origin_is_evaluated_again(trained: Shop, content: bytes) -> None:
    """A kept origin that cannot be read is as if it had never been kept."""
    path = sorted(folder_of(trained).glob("*.npz"))[0]
    path.write_bytes(content)
    origins = origins_of(trained)
    assert origins.progress == (1, 2)
    origins.add(at_origin(origins.missing[0]))
    assert origins_of(trained).progress == (2, 2)


def test_an_origin_torn_in_the_middle_is_evaluated_again(trained: Shop) -> None:
    """Half a file is no file."""
    path = sorted(folder_of(trained).glob("*.npz"))[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert origins_of(trained).progress == (1, 2)


def test_origins_hold_no_code(trained: Shop) -> None:
    """Kept origins are plain arrays: they are read without unpickling anything."""
    for path in folder_of(trained).glob("*.npz"):
        with np.load(path, allow_pickle=False) as stored:
            assert all(stored[name].dtype != object for name in stored.files)


def test_a_stored_evaluation_tells_the_same_figures(trained: Shop) -> None:
    """The metrics read from the stored table are those of the origins, but for RMSSE, and the naive's beside them."""
    scored = origins_of(trained).evaluation().scored
    total, naive = measured(table(scored, "bakery"))
    wanted = score(scored).model_dump(exclude={"rmsse", "mase"})
    assert total.model_dump(exclude={"rmsse", "mase"}) == pytest.approx(wanted)
    assert total.mase == pytest.approx(score(scored).mase, rel=0.05)
    assert naive.wape == pytest.approx(score(scored, "seasonal_naive").wape)
    assert [one.n for one in measured(table((), "bakery"))] == [0, 0]


def test_few_units_are_judged_by_the_upper_end() -> None:
    """Of four units a day the upper end alone counts, of five the whole range; unscored days count for neither."""
    days = [("few", 4.0, 0.0), ("few", 4.0, 8.0), ("few", 4.0, 9.0), ("more", 5.0, 0.0), ("more", 5.0, 5.0)]
    frame = pd.DataFrame([*days, ("more", 5.0, np.nan)], columns=["product_id", "y_hat", "actual"])
    frame = frame.assign(origin=pd.Timestamp("2024-05-01"), lower=1.0, upper=8.0)
    assert honesty(frame) == {"coverage": 0.5, "days": 2, "below_upper": pytest.approx(2 / 3), "days_of_few": 3}
    assert honesty(frame[frame["product_id"] == "few"]).keys() == {"below_upper", "days_of_few"}
    assert honesty(table((), "bakery")) == {}


def test_intervals_of_the_evaluation_are_calibrated(trained: Shop) -> None:
    """Every origin of an evaluation has quantiles around each forecast."""
    for one in origins_of(trained).evaluation().scored:
        assert one.laid is not None
        assert np.isfinite(one.laid).all()
        assert one.origin < pd.Timestamp(trained.data().origin)
