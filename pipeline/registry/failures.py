"""How much a failure wants somebody's attention, and what would help: one rule by the kind of error."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from contracts import Severity
from pipeline import errors

CANCELLED, INTERRUPTED = "Cancelled", "Interrupted"
"""Kinds of a training's end that are no errors: it was asked to stop, or its process is gone."""


@dataclass(frozen=True)
class Advice:
    """How severe a failure is, and what to do about it."""

    severity: Severity
    action: str


RULES: dict[str, Advice] = {
    "InsufficientDataError": Advice(
        Severity.LOW, "Nothing to do: it is trained by itself once enough days of its sales have come in."
    ),
    CANCELLED: Advice(Severity.LOW, "Nothing to do: it was asked to stop. Start it again when it is wanted."),
    "LockedError": Advice(Severity.LOW, "Nothing to do: another training of the tenant is at work."),
    INTERRUPTED: Advice(Severity.MEDIUM, "Run it again: what was finished is kept, the rest is done then."),
    "LockLostError": Advice(Severity.MEDIUM, "Run it again: what was finished is kept, the rest is done then."),
    "SourceError": Advice(Severity.MEDIUM, "Mend the sales or covariates file that the message names."),
    "BadAnswerError": Advice(
        Severity.MEDIUM, "See what the service answers: an address, a login or its owner is wrong."
    ),
    "ServiceUnavailableError": Advice(
        Severity.MEDIUM, "Nothing at first: it is asked again by itself. `pipeline breakers list` says since when."
    ),
    "DataError": Advice(Severity.MEDIUM, "Mend the sales that the message names, then run the tenant again."),
    "EngineError": Advice(Severity.MEDIUM, "Look at the product's sales and calendar for what is odd."),
    "ComputeError": Advice(Severity.MEDIUM, "Run it again; if it recurs lower WORKERS or raise TASK_TIMEOUT_SECONDS."),
    "ConfigurationError": Advice(Severity.HIGH, "Correct the setting or the tenant's file that the message names."),
    "StorageError": Advice(Severity.HIGH, "Make room on the disk, or give the process its rights there; run it again."),
    "OSError": Advice(Severity.HIGH, "Make room on the disk, or give the process its rights there; run it again."),
    "IntegrityError": Advice(Severity.HIGH, "`pipeline models verify` names what is broken; train that product again."),
    "RegistryError": Advice(Severity.HIGH, "See that the registry's database is up and has room; run it again."),
    "Failure": Advice(Severity.MEDIUM, "Mend what the message names, then run it again."),
    "Exception": Advice(Severity.HIGH, "Report it with the training's log: this was not foreseen."),
}
"""By the name of the error, else of the nearest error that it is a kind of."""


def advice_on(kind: str) -> Advice:
    """Return the rule for a kind of error by its name; a name that is not known has the rule of `Exception`."""
    found = getattr(errors, kind, None) or getattr(builtins, kind, None)
    line = [one.__name__ for one in found.__mro__] if isinstance(found, type) else [kind]
    return next((RULES[name] for name in line if name in RULES), RULES["Exception"])
