"""Services that fail: what is tried again, for how long, when they are left alone, and how that is told."""

from pipeline.resilience.breakers import (
    Breaker,
    Limits,
    Service,
    breaker_name,
    limits,
    seconds_of,
    tenant_of,
    tried_again_at,
)
from pipeline.resilience.faults import transient
from pipeline.resilience.patience import Patience
from pipeline.resilience.policies import Kind, Policy, policy
from pipeline.resilience.record import Record
from pipeline.resilience.report import Report, reported
from pipeline.resilience.retry import again, retried
from pipeline.resilience.services import Guard, Services

__all__ = [
    "Breaker",
    "Guard",
    "Kind",
    "Limits",
    "Patience",
    "Policy",
    "Record",
    "Report",
    "Service",
    "Services",
    "again",
    "breaker_name",
    "limits",
    "policy",
    "reported",
    "retried",
    "seconds_of",
    "tenant_of",
    "transient",
    "tried_again_at",
]
