"""Tags of trainings."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigurationError
from pipeline.tags import own_tags, parsed_tags


def test_tags_are_read() -> None:
    """Keys may hold dots, dashes and one slash; values anything that can be printed, also `=`."""
    assert parsed_tags(["idea=fewer trees", "team/x.y-z_1=a=b"]) == {"idea": "fewer trees", "team/x.y-z_1": "a=b"}
    assert parsed_tags([]) == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["idea"], "'idea' is not KEY=VALUE"),
        (["idea="], "'idea=' is not KEY=VALUE"),
        (["idea=\x1b[31m"], "is not KEY=VALUE"),
        (["idea=" + "x" * 251], "1 to 250 letters"),
        (["=x"], "the key ''"),
        (["my idea=x"], "the key 'my idea'"),
        (["cause=x"], "the key 'cause' is taken"),
        (["job_id=x"], "the key 'job_id' is taken"),
        (["dagster/partition=x"], "'dagster/partition' is taken"),
        (["mlflow.user=x"], "'mlflow.user' is taken"),
        (["idea=a", "idea=b"], "the key 'idea' is given twice, before with 'a'"),
    ],
)
def test_what_is_no_tag_is_said(given: list[str], told: str) -> None:
    """The tag is named, and what would be right."""
    with pytest.raises(ConfigurationError) as raised:
        parsed_tags(given)
    assert told in str(raised.value)


def test_a_runs_own_tags_are_those_of_a_person() -> None:
    """What Dagster and the pipeline write on a run is none of them."""
    tags = {
        "idea": "x",
        "cause": "schedule",
        "tenant": "t",
        "job_id": "j",
        "dagster/partition": "t",
        ".dagster/x": "1",
        "pipeline/host": "h",
    }
    assert own_tags(tags) == {"idea": "x"}
