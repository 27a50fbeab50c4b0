"""How far a training job is."""

from __future__ import annotations

from pydantic import Field

from contracts.base import Contract, Count, UtcDatetime


class JobProgress(Contract):
    """How far a training job is, as other systems ask for it."""

    job_id: str = Field(description="The training job.")
    percentage: float = Field(ge=0, le=100, description="Of the work, past origins included.")
    current_step: str | None = Field(None, description="What it is at; None before it has begun.")
    products_completed: Count = Field(description="Products that are done with.")
    products_total: Count = Field(description="Products that are due.")
    estimated_time_remaining: float | None = Field(
        None, ge=0, description="Seconds, if it goes on as until now; None where nothing is done yet, 0 at the end."
    )
    started_at: UtcDatetime = Field(description="When it began, or began to wait for its tenant's lock.")
