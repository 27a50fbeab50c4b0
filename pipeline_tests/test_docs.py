"""The documentation says what the code does: nothing is missing, nothing is left over, no link is dead."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from enum import EnumType
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import contracts
from contracts.schemas import PUBLISHED
from pipeline import errors
from pipeline.cli import app
from pipeline.engine.families import FAMILIES, FOREIGN
from pipeline.registry.tables import Base
from pipeline.sample import write_sample
from pipeline.sample.catalogue import BUSINESSES
from pipeline.settings import Settings
from pipeline_tests.defs.world import definitions

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
LONGEST_PAGE = 200
CONTRACTS = ("reference/contracts.md", "reference/contracts-of-models.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"(?:^|[\s/=])pipeline (?=[a-z])(.*)")
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


@cache
def commands() -> dict[str, Any]:
    """Every command by its full name, groups left out."""
    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
        for child, below in (children or {}).items():
            walk(f"{name} {child}", below)

    walk("pipeline", typer.main.get_command(app))
    return found


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
        assert plain(stated[name][1]) == sensor.job_name, name
        assert stated[name][2] == f"{sensor.minimum_interval_seconds} s", name


def test_every_setting_is_documented() -> None:
    """The page has a row for each setting with its default, written as one would set it."""
    stated = {name: plain(row[1]) for name, row in table(prose_of("reference/settings.md")).items()}
    fields = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert stated == {name: _as_written(default) for name, default in fields.items()}
    assert "`MAX_CONCURRENT_TRAINING_JOBS`" in text_of("reference/settings.md")


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
    stated = {name for name, row in table(prose_of("reference/settings.md")).items() if UNREAD in row[2]}
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


def test_every_error_is_documented() -> None:
    """The page has a row for each error with the error that it is a kind of."""
    classes = dict(inspect.getmembers(errors, lambda kind: inspect.isclass(kind) and issubclass(kind, Exception)))
    stated = {name: plain(row[1]) for name, row in table(prose_of("reference/errors.md")).items()}
    assert stated == {name: kind.__base__.__name__ for name, kind in classes.items()}


def test_every_command_is_documented() -> None:
    """Each command has a section, its options are all there and no others, and their defaults are given."""
    pages = ("reference/command-line.md", "reference/command-line-of-models.md")
    page_of = {title.strip("`"): page for page in pages for _, title in HEADING.findall(prose_of(page))}
    assert {title for title in page_of if title.startswith("pipeline ")} == set(commands())
    for name, command in commands().items():
        stated = table(section(page_of[name], f"`{name}`"))
        options = [param for param in command.params if param.param_type_name == "option"]
        assert set(stated) == {opt for param in options for opt in param.opts}, name
        for param in options:
            if not isinstance(param.default, bool) and isinstance(param.default, int | str):
                assert str(param.default) in stated[param.opts[0]][1], f"{name} {param.opts[0]}"


def test_every_make_target_is_documented() -> None:
    """The page has a row for each target that `make help` lists."""
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    stated = set(table(section("reference/command-line.md", "`make`")))
    assert stated == {f"make {target}" for target in targets if target != "help"}


def _written_commands(page: Path) -> Iterator[tuple[str, bool]]:
    """The `pipeline ...` commands of a page, and whether each must be complete: in a block, not in a sentence."""
    for code in blocks_of(page, "sh", "ini"):
        for line in code.replace("\\\n", " ").splitlines():
            found = COMMAND.search(line.split(" #")[0])
            if found:
                yield found[1], True
    for code in INLINE.findall(prose_of(page)):
        found = re.match(r"(?:.*\s)?pipeline (?=[a-z])(.*)", re.sub(r"\s+", " ", code))
        if found:
            yield found[1], False


def _faults(line: str, complete: bool) -> str | None:
    """What is wrong with the words after `pipeline`, if anything."""
    words = shlex.split(line)
    names = [name for name in commands() if f"pipeline {' '.join(words)} ".startswith(f"{name} ")]
    if not names:
        group = any(name.startswith(f"pipeline {' '.join(words)} ") for name in commands())
        return None if group and not complete else "no such command"
    command, rest = commands()[names[0]], words[len(names[0].split()) - 1 :]
    try:
        given, left, _ = command.make_parser(typer.Context(command)).parse_args([w for w in rest if w != "--help"])
    except Exception as error:  # the parser's errors are not public; their text says enough
        return str(error)
    missing = [param.name for param in command.params if param.required and given.get(param.name) is None]
    return f"too many words: {left}" if left else f"needs {missing}" if complete and missing else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_can_be_typed(page: Path) -> None:
    """Every `pipeline ...` in the docs names a command and options that there are, and gives what they need."""
    faults = {line: _faults(line, complete) for line, complete in _written_commands(page)}
    assert not {line: fault for line, fault in faults.items() if fault}


@pytest.mark.parametrize("line", ["bake", "run --oven", "run --sales", "version 2", "backtest --folds 4"])
def test_commands_that_cannot_be_typed_are_found(line: str) -> None:
    """The test above sees unknown commands and options, missing values, stray words and missing options."""
    assert _faults(line, complete=True)


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
