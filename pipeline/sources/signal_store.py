"""What services told of a tenant's days, kept for ever: a file an answer, each value with the moment of its issue."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts import SignalSource
from pipeline.home import Home, write_atomically
from pipeline.places import without_login

SCHEMA = pa.schema(
    [
        ("asked_at", pa.timestamp("us", "UTC")),
        ("asked_from", pa.timestamp("ns")),
        ("asked_to", pa.timestamp("ns")),
        ("issued_at", pa.timestamp("us", "UTC")),
        ("date", pa.timestamp("ns")),
        ("field", pa.string()),
        ("value", pa.float64()),
        ("observed", pa.bool_()),
    ]
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The answers of one signal of one tenant; none is ever changed or taken away."""

    folder: Path

    def read(self) -> pd.DataFrame:
        """Return every value that was ever issued, the columns of SCHEMA, in order of issue and of asking.

        `observed` tells a day that was over when its value was issued from one that was foreseen. A file that cannot
        be read is left out, and named in the log.
        """
        tables = [table for path in sorted(self.folder.glob("*.parquet")) if (table := _read(path)) is not None]
        frame: pd.DataFrame = pa.concat_tables([SCHEMA.empty_table(), *tables]).to_pandas()
        return frame.sort_values(["issued_at", "asked_at"], kind="stable", ignore_index=True)

    def add(
        self,
        values: pd.DataFrame,
        asked_at: dt.datetime,
        days: tuple[dt.date, dt.date],
        issued_at: dt.datetime,
        zone: str,
    ) -> None:
        """Keep one answer: `date`, `field`, `value` of the days that were asked for.

        Raises:
            StorageError: it cannot be written.
        """
        first, last = map(pd.Timestamp, days)
        inside = values[values["date"].between(first, last)]
        issued_on = pd.Timestamp(issued_at).tz_convert(zone).tz_localize(None).normalize()
        frame = inside.assign(
            asked_at=asked_at,
            asked_from=first,
            asked_to=last,
            issued_at=issued_at,
            observed=inside["date"] < issued_on,
        )
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False), sink, compression="zstd")
        write_atomically(self.folder / f"{asked_at.astimezone(dt.UTC):%Y%m%dT%H%M%S.%fZ}.parquet", sink.getvalue())


def kept(home: Home, tenant_id: str, source: SignalSource) -> Kept:
    """Return where a signal's answers lie: another address, place or field is another signal; another login is not."""
    asked = [without_login(source.url), source.parameters, sorted(source.columns.values())]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    return Kept(home.signals(tenant_id) / f"{source.kind}-{digest}")


def _read(path: Path) -> pa.Table | None:
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (pa.ArrowException, OSError) as error:
        logger.warning("the answer %s cannot be read and is left out: %s", path, error)
        return None
