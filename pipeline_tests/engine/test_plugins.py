"""Families from other distributions: found by their entry points, or refused with a name and a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engine.evaluate import table
from pipeline.engine.families import FAMILIES, FOREIGN
from pipeline.engine.families.plugins import GROUP, MEMBERS, RESERVED, find
from pipeline.errors import ConfigurationError
from pipeline.registry.manifests import COMBINATION, NAIVE
from pipeline_tests.engine.test_evaluate import scored

OURS = {name: family for name, family in FAMILIES.items() if name not in FOREIGN}
WHOLE = """
from pipeline.engine.families.seasonal_naive import SeasonalNaive

class Rye(SeasonalNaive):
    name = "rye"
    voice = "rye"
"""


def install(site: Path, distribution: str, entry: str, code: str = WHOLE, version: str = "1.5") -> str:
    """Write a distribution with one module and one entry point, as an installer does; return the module's name."""
    module = f"{distribution.replace('-', '_')}_{abs(hash(str(site))):x}"
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry.replace('MODULE', module)}\n", encoding="utf-8")
    return module


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that distributions can be installed into."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_whole_family_is_found(site: Path) -> None:
    """It stands under its name, and its distribution and version beside it."""
    install(site, "bread-models", "rye = MODULE:Rye")
    found, sources = find(OURS)
    assert found["rye"].voice == "rye"
    assert sources["rye"] == "bread-models 1.5"


@pytest.mark.parametrize(
    ("entry", "code", "fault"),
    [
        ("rye = nowhere_at_all:Rye", WHOLE, "cannot be loaded: ModuleNotFoundError"),
        ("rye = MODULE:Wheat", WHOLE, "cannot be loaded: AttributeError.*Wheat"),
        ("rye = MODULE:Rye", "1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("rye = MODULE:Rye", "Rye = 3", "cannot be loaded: TypeError.*not callable"),
        ("tsb = MODULE:Rye", WHOLE, "name is taken by a family of the pipeline"),
        ("y_hat = MODULE:Rye", WHOLE, "none of .*'y_hat'"),
        ("Rye-1 = MODULE:Rye", WHOLE, "a name is small letters"),
        ("wheat = MODULE:Rye", WHOLE, "calls itself 'rye'"),
        ("rye = MODULE:Rye", f"{WHOLE}    scope = 'product'", "does not allow scope = 'product'"),
        ("rye = MODULE:Rye", f"{WHOLE}    voice = ''", "does not allow voice = ''"),
        ("rye = MODULE:Rye", f"{WHOLE}    gatekeeper = 1", "does not allow gatekeeper = 1"),
        ("rye = MODULE:Rye", f"{WHOLE}    fit = None", "does not allow fit = None"),
        ("rye = MODULE:Rye", f"{WHOLE}    stand_in = 'wheat'", "its stand_in 'wheat' is not"),
        ("rye = MODULE:Rye", f"{WHOLE}    stand_in = 'prophet'", "its stand_in 'prophet' is not"),
    ],
)
def test_what_cannot_be_used_is_refused(site: Path, entry: str, code: str, fault: str) -> None:
    """The error names the family, the distribution with its version, and what is wrong."""
    install(site, "bread-models", entry, code)
    name, _, _ = entry.partition(" ")
    with pytest.raises(ConfigurationError, match=f"(?s)family '{name}' .*of bread-models 1.5: .*{fault}"):
        find(OURS)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_missing_member_is_named(site: Path, member: str) -> None:
    """A class that lacks any one member of the protocol is refused with that member's name."""
    lines = [f"    {name} = {name!r}" for name in MEMBERS if name != member]
    install(site, "bread-models", "rye = MODULE:Rye", "\n".join(["class Rye:", *lines]))
    with pytest.raises(ConfigurationError, match=f"bread-models 1.5: it has no {member}; a family has"):
        find(OURS)


def test_two_distributions_cannot_share_a_name(site: Path) -> None:
    """The second one is refused, and the first is named."""
    install(site, "bread-models", "rye = MODULE:Rye")
    install(site, "crumb-models", "rye = MODULE:Rye")
    with pytest.raises(ConfigurationError, match=r"of crumb-models 1.5: the name is taken by bread-models 1.5"):
        find(OURS)


def test_words_of_the_tables_are_kept() -> None:
    """No family can be called like a word of the registry, or like a column of the evaluation's table."""
    one = scored(1)[0]
    columns = set(table([one], "bakery").columns) - set(one.families)
    assert {COMBINATION, NAIVE, *columns} == RESERVED
