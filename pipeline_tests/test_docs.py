"""The documentation says what the code does: nothing is missing, nothing is left over, no link is dead."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path

import pytest

import contracts
from contracts.schemas import PUBLISHED
from pipeline import errors
from pipeline.defs.events.sensors import RECEIVING
from pipeline.engine.families import FAMILIES, FOREIGN
from pipeline.events.rabbitmq import DEAD, EXCHANGE, QUEUES
from pipeline.events.rabbitmq_sink import ROUTING_KEYS
from pipeline.monitoring.conditions import KINDS
from pipeline.monitoring.metrics.catalogue import MEASURES
from pipeline.registry.failures import RULES
from pipeline.registry.tables import Base
from pipeline.sample import write_sample
from pipeline.sample.catalogue import BUSINESSES
from pipeline.settings import Settings
from pipeline_tests.defs.graph import target_of
from pipeline_tests.defs.world import definitions

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
LONGEST_PAGE = 200
CONTRACTS = (
    "reference/contracts.md",
    "reference/contracts-of-models.md",
    "reference/contracts-of-events.md",
    "reference/contracts-of-requests.md",
    "reference/contracts-of-monitoring.md",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`]+)`")
UNREAD = "nothing reads it yet"


def text_of(page: str | Path) -> str:
    """A page of the docs, by its name under `docs/`."""
    return (DOCS / page).read_text(encoding="utf-8")


def prose_of(page: str | Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", text_of(page))


def blocks_of(page: str | Path, *languages: str) -> list[str]:
    """The code blocks of a page in some languages."""
    return [code for language, code in FENCE.findall(text_of(page)) if language in languages]


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    text = prose_of(page)
    found = [match for match in HEADING.finditer(text) if match[2] == heading]
    assert len(found) == 1, f"docs/{page} has {len(found)} headings {heading!r}, not one"
    return re.split(r"^#+ ", text[found[0].end() :], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of all Markdown tables in a text, their headings left out."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        if set(line) <= set("|- :"):
            found.pop()  # the line before was the heading
            continue
        found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def plain(cell: str) -> str:
    """What stands between backticks in a cell, or the whole cell."""
    found = INLINE.search(cell)
    return found[1] if found else cell


def table(text: str) -> dict[str, list[str]]:
    """The rows of a text's tables by the plain text of their first cells; none may stand twice."""
    found = rows(text)
    names = [plain(row[0]) for row in found]
    assert len(names) == len(set(names)), f"stands twice: {sorted({n for n in names if names.count(n) > 1})}"
    return dict(zip(names, found, strict=True))


def anchors(page: Path) -> set[str]:
    """What a link may name after the `#`."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    words = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in HEADING.findall(text)]
    return {*words, *re.findall(r'<a id="([^"]+)">', text)}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files and anchors that a page links to in this project."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    """Every relative link leads to a file of the project, and to a heading of it where it names one."""
    for path, anchor in links(page):
        assert path.exists(), f"{page.name} links to {path}, which is not there"
        assert path.is_relative_to(ROOT), f"{page.name} links out of the project: {path}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to #{anchor}, which {path.name} lacks"


def test_every_page_is_in_the_index() -> None:
    """A reader who begins at docs/README.md can reach every page from it."""
    index = DOCS / "README.md"
    linked = {index, *(path for path, _ in links(index))}
    linked |= {path for page in linked if page.name == index.name and page.parent != ROOT for path, _ in links(page)}
    missing = [str(page.relative_to(ROOT)) for page in PAGES if page not in linked]
    assert not missing, f"not linked from docs/README.md or an index that it links to: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_short(page: Path) -> None:
    """No page is longer than a person reads at once."""
    assert len(page.read_text(encoding="utf-8").splitlines()) <= LONGEST_PAGE


def test_every_asset_is_documented() -> None:
    """The page has a row for each asset: its group, its partitions and what it is made from."""
    stated = table(prose_of("reference/assets.md").split("\n## ")[0])
    specs = {spec.key.to_user_string(): spec for spec in definitions().resolve_all_asset_specs()}
    assert set(stated) == set(specs)
    for name, spec in specs.items():
        sources = {dep.asset_key.to_user_string() for dep in spec.deps}
        partitions = spec.partitions_def.name if spec.partitions_def else "none"
        assert stated[name][1:3] == [spec.group_name, partitions], name
        assert set(INLINE.findall(stated[name][3])) == sources, name


def test_every_check_is_documented() -> None:
    """The page has a row for each check with its asset, and says truly whether it blocks."""
    stated = {
        (plain(row[0]), plain(row[1]), row[2] == "yes")
        for row in rows(prose_of("reference/checks.md"))
        if len(row) == 5
    }
    specs = [spec for check in definitions().asset_checks for spec in check.check_specs]
    assert stated == {(spec.name, spec.asset_key.to_user_string(), bool(spec.blocking)) for spec in specs}


def test_every_check_says_what_then_happens() -> None:
    """The second table of the page has every check, too."""
    happens = [row for row in rows(prose_of("reference/checks.md")) if len(row) == 3]
    named = {name for row in happens for name in INLINE.findall(row[0])}
    assert named == {spec.name for check in definitions().asset_checks for spec in check.check_specs}


def test_every_job_is_documented() -> None:
    """The page has a row for each job, and the launchpad's form has a row for each field."""
    from pipeline.defs.training.assets import PlanConfig

    stated = table(section("reference/jobs-schedules-sensors.md", "Jobs"))
    jobs = {name for name, row in stated.items() if len(row) == 4}
    assert jobs == {job.name for job in definitions().jobs}
    assert set(stated) - jobs == set(PlanConfig.model_fields)


def test_every_schedule_is_documented() -> None:
    """The page has a row for each schedule with its job, its cron and the setting that gives it."""
    stated = table(section("reference/jobs-schedules-sensors.md", "Schedules"))
    schedules = {schedule.name: schedule for schedule in definitions().schedules}
    assert set(stated) == set(schedules)
    for name, schedule in schedules.items():
        job, cron, setting = (plain(cell) for cell in stated[name][1:])
        assert (job, cron) == (schedule.job_name, schedule.cron_schedule), name
        assert Settings.model_fields[setting.lower()].default == cron, name


def test_every_sensor_is_documented() -> None:
    """The page has a row for each sensor with its job and its interval."""
    stated = table(section("reference/jobs-schedules-sensors.md", "Sensors"))
    sensors = {sensor.name: sensor for sensor in definitions().sensors}
    assert set(stated) == set(sensors)
    for name, sensor in sensors.items():
        assert ", ".join(INLINE.findall(stated[name][1])) == (target_of(sensor) or ""), name
        assert stated[name][2] == f"{sensor.minimum_interval_seconds} s", name


def test_every_setting_is_documented() -> None:
    """The page has a row for each setting with its default, written as one would set it."""
    stated = {name: plain(row[1]) for name, row in _settings().items()}
    fields = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert stated == {name: _as_written(default) for name, default in fields.items()}
    assert "`MAX_CONCURRENT_TRAINING_JOBS`" in text_of("reference/settings.md")


def _settings() -> dict[str, list[str]]:
    return table(prose_of("reference/settings.md") + prose_of("reference/settings-of-monitoring.md"))


def _as_written(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return "unset" if default is None else str(default)


def test_settings_that_nothing_reads_are_said_to_be_so() -> None:
    """A setting is marked as unread exactly when no module reads it."""
    read = {
        node.attr
        for path in (ROOT / "pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    stated = {name for name, row in _settings().items() if UNREAD in row[2]}
    assert stated == {name.upper() for name in Settings.model_fields if name not in read}


def test_every_contract_is_documented() -> None:
    """Each contract has a section that names all its fields, and a star where its schema is published."""
    for name in contracts.__all__:
        contract = getattr(contracts, name)
        if not inspect.isclass(contract) or not issubclass(contract, contracts.Contract):
            continue
        if contract is contracts.Contract:
            continue
        page = next((page for page in CONTRACTS if f"# {name}\n" in prose_of(page)), CONTRACTS[0])
        text = section(page, name)
        named = {word.strip() for code in INLINE.findall(text) for word in code.split("=")}
        assert not set(contract.model_fields) - named, f"{name} lacks fields in the docs"
        assert text.strip().startswith("\\*") == (contract in PUBLISHED), f"{name}: is its schema published?"


def test_every_value_is_documented() -> None:
    """Each enumeration has a row that names all its members and nothing else."""
    stated = table(section("reference/contracts.md", "Values"))
    enums = {name: getattr(contracts, name) for name in contracts.__all__}
    enums = {name: kind for name, kind in enums.items() if isinstance(kind, EnumType)}
    assert set(stated) == set(enums)
    for name, kind in enums.items():
        assert set(INLINE.findall(stated[name][1])) == {member.value for member in kind}, name


def test_the_tenant_in_the_docs_is_one() -> None:
    """The example of a tenant's file can be used as it stands."""
    examples = [tomllib.loads(code) for code in blocks_of("reference/contracts.md", "toml")]
    assert examples
    for example in examples:
        contracts.Tenant.model_validate(example)


@pytest.mark.parametrize(
    ("page", "heading", "kind"),
    [
        ("guide/dagster.md", "What is due", contracts.Cause),
        ("guide/forecasting.md", "The ladder", contracts.Rung),
        ("guide/forecasting.md", "The range", contracts.DemandClass),
        ("guide/forecasting.md", "Why this number", contracts.PartKind),
        ("guide/sales-files.md", "What becomes of a row", contracts.Rejection),
        ("guide/sales-files.md", "Zero, closed, unknown, masked", contracts.DayStatus),
    ],
)
def test_the_guide_explains_every_value(page: str, heading: str, kind: EnumType) -> None:
    """Causes, rungs, classes, rejections and statuses each have a row that says when."""
    assert set(table(section(page, heading))) == {member.value for member in kind}


def test_every_column_can_be_looked_up() -> None:
    """The guide has a row for each field that a mapping may name."""
    assert set(table(section("guide/sales-files.md", "Columns"))) == set(contracts.ColumnMapping.model_fields)


def test_every_metric_has_its_formula() -> None:
    """The page has a row for each metric."""
    stated = {name for name, row in table(prose_of("reference/metrics.md")).items() if len(row) == 5}
    assert stated == set(contracts.Metrics.model_fields)


def test_every_exported_metric_is_documented() -> None:
    """The guide has a row for each metric of the endpoint, with its kind and its labels."""
    stated = table(section("guide/metrics.md", "The metrics"))
    told = {name: (row[1], set(INLINE.findall(row[2]))) for name, row in stated.items()}
    assert told == {one.exported: (one.kind.value, set(one.labels)) for one in MEASURES.values()}


def test_every_condition_is_documented() -> None:
    """The guide has a row for each kind of alert that no failed run raises."""
    stated = table(section("guide/metrics.md", "Alerts without a server"))
    assert set(stated) == KINDS | {"run_failed", RECEIVING.kind}


def test_every_error_is_documented() -> None:
    """The page has a row for each error with the error that it is a kind of."""
    classes = dict(inspect.getmembers(errors, lambda kind: inspect.isclass(kind) and issubclass(kind, Exception)))
    stated = {name: plain(row[1]) for name, row in table(prose_of("reference/errors.md")).items()}
    assert stated == {name: kind.__base__.__name__ for name, kind in classes.items()}


def test_every_family_is_documented() -> None:
    """The guide has a row for each family: whom a fit serves, its voice, whose errors it takes; files have one, too."""
    stated = table(section("guide/families.md", "The families"))
    ours = {name: family for name, family in FAMILIES.items() if name not in FOREIGN}
    assert set(stated) == set(ours) == set(table(section("reference/files.md", "Artefacts")))
    for name, family in ours.items():
        errors_from = f"`{family.stand_in}`" if family.stand_in else "its own"
        assert stated[name][1:4] == [family.scope.value, family.voice, errors_from], name


@pytest.mark.parametrize(("language", "file"), [("toml", "pyproject.toml"), ("python", "weekday_median.py")])
def test_the_guide_shows_the_example(language: str, file: str) -> None:
    """The family that the guide shows is, letter by letter, the project that is built and tested."""
    assert blocks_of("guide/adding-a-family.md", language) == [text_of(f"examples/own_family/{file}")]


def test_every_table_of_the_registry_is_documented() -> None:
    """The page has a row for each table."""
    assert set(table(section("reference/files.md", "The registry"))) == set(Base.metadata.tables)


def test_the_sample_is_as_documented(tmp_path: Path) -> None:
    """Each sample business has its products and days, and each kind of dirt is there as often as the page says."""
    stated = table(prose_of("reference/sample.md").split("\n## ")[0])
    assert {name: (row[2], row[3]) for name, row in stated.items()} == {
        business.id: (str(len(business.items)), f"{business.days:,}") for business in BUSINESSES
    }
    truth = write_sample(tmp_path).truth
    counts = {name: tuple(row[1:4]) for name, row in table(section("reference/sample.md", "The dirt")).items()}
    kinds = {kind for one in truth.values() for kind in one.counts()}
    assert counts == {kind: tuple(str(truth[b.id].counts().get(kind, 0)) for b in BUSINESSES) for kind in kinds}


def test_the_changelog_names_this_version() -> None:
    """The newest entry of the changelog is the version that the package states."""
    from pipeline import __version__

    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == __version__


def test_every_kind_of_failure_is_documented() -> None:
    """The guide has a row for each rule of severity and advice, in the rule's own words."""
    stated = {
        name: tuple(row[1:]) for name, row in table(section("guide/events.md", "How severe, and what to do")).items()
    }
    assert stated == {name: (rule.severity.value, rule.action) for name, rule in RULES.items()}


def test_every_name_at_the_broker_is_documented() -> None:
    """The guide names exchange, queues and routing keys as they are declared."""
    named = set(INLINE.findall(section("guide/events.md", "Where events go")))
    keys = {key for key, _ in QUEUES.values()} | set(ROUTING_KEYS.values())
    assert {EXCHANGE, DEAD, *QUEUES, *keys} <= named
