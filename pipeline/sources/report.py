"""The account of one extraction, from the accounts of its parts."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pandas as pd

from contracts import ExtractionReport, Rejection, SetAside
from pipeline.places import redacted
from pipeline.sources.by_product import added_up, largest, net_negative
from pipeline.sources.due import Due, Job
from pipeline.sources.merge import Merged
from pipeline.sources.rejections import EXAMPLES


def report_of(
    job: Job, due: Due, merged: Merged, partial: dt.date | None, replaced: str | None = None
) -> ExtractionReport:
    """Return the account of every row that was read; `replaced` is the source that this one took the place of."""
    readings = due.readings
    accounts = [reading.cleaned.account for reading in readings]
    rejected: Counter[Rejection] = Counter()
    repairs: Counter[str] = Counter()
    for account in accounts:
        rejected.update(account.rejected)
        repairs.update(account.repairs)
    duplicates = sum(account.duplicates for account in accounts)
    by_product = [fault for account in accounts for fault in account.by_product]
    faults = added_up([*by_product, *net_negative(merged.net_negative)])
    first, last = span(merged.table)
    return ExtractionReport(
        tenant_id=job.tenant.id,
        extracted_at=job.now,
        files_seen=len(job.listed),
        files_read=len(readings),
        rows_read=sum(account.rows_read for account in accounts),
        rows_used=merged.rows_used,
        rows_merged=merged.merged_into_day + merged.superseded + duplicates,
        rows_rejected=rejected.total(),
        merged_into_day=merged.merged_into_day,
        duplicates_dropped=duplicates,
        superseded=merged.superseded,
        return_rows=sum(account.return_rows for account in accounts),
        returned_units=float(sum(reading.cleaned.daily["returned"].sum() for reading in readings)),
        net_negative_days=len(merged.net_negative),
        rejected_by_reason=dict(rejected),
        examples=tuple(example for account in accounts for example in account.examples)[:EXAMPLES],
        set_aside=tuple(
            SetAside(
                file=reading.part.name,
                rows=reading.cleaned.account.rows_read,
                unusable=reading.cleaned.account.unusable,
            )
            for reading in due.aside
        ),
        product_faults=largest(faults),
        products_at_fault=dict(Counter(fault.kind for fault in faults if fault.product_id is not None)),
        repairs=dict(repairs),
        products=merged.table["product_id"].nunique(),
        first_date=first,
        last_date=last,
        partial_last_day=partial,
        replaced_source=None if replaced is None else redacted(replaced),
    )


def span(table: pd.DataFrame) -> tuple[dt.date | None, dt.date | None]:
    """Return the first and the last day of a daily table; None where it is empty."""
    if table.empty:
        return None, None
    return table["date"].min().date(), table["date"].max().date()
