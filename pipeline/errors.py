"""Every error that the pipeline raises on purpose.

PipelineError
├── ConfigurationError        a setting, a tenant file or an argument is wrong
│   ├── TenantError           a tenant is unknown, or its file cannot be used
│   └── UnknownCountryError   no public holidays are known for a country or region
├── SourceError               where sales or covariates come from cannot be used
│   ├── SourceNotFoundError   nothing is there
│   ├── UnreadableFileError   a file is empty, torn, or in another format than it claims
│   ├── MissingColumnsError   a mapped column is not in the file
│   ├── ChangingFileError     a file changed while it was read
│   ├── BadAnswerError        a service refused, or answered what cannot be used
│   └── ServiceUnavailableError a service does not answer, or is left alone because it did not
├── DataError                 the data can be read but not used
│   ├── InsufficientDataError a product has too few days
│   └── MetadataError         a metadata file cannot be read, or is not as its contract says
├── StorageError              a file cannot be written: a full disk, a folder without rights
├── EventError                events cannot be sent, or messages not be fetched
│   └── RefusedEventError     where events are sent one is refused; others may be taken
├── MessageError              a message of another system cannot be read
├── EngineError               forecasting itself failed
│   └── FamilyError           a family could not fit or predict
├── ComputeError              a task on a worker was lost
│   ├── TaskTimeoutError      it ran too long and was ended
│   ├── TaskMemoryError       it needed more memory than a worker may have
│   └── WorkerDiedError       its process ended under it
└── RegistryError             the truth about models cannot be read or written
    ├── SchemaMismatchError   the database is empty, behind or ahead
    ├── NotRegisteredError    no such model, version or job
    ├── LockedError           another process is at work on it, and went on for too long
    ├── LockLostError         the lock under which the work ran is gone
    └── IntegrityError        an artefact is missing, torn, or not what its name says
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error raised on purpose; its text says what was wrong and what would be right."""


class ConfigurationError(PipelineError):
    """A setting, a tenant file or an argument is wrong."""


class TenantError(ConfigurationError):
    """A tenant is unknown, or its file cannot be used."""


class UnknownCountryError(ConfigurationError):
    """No public holidays are known for a country or region."""


class SourceError(PipelineError):
    """Where sales or covariates come from cannot be used."""


class SourceNotFoundError(SourceError):
    """Nothing is at the given place."""


class UnreadableFileError(SourceError):
    """A file is empty, torn, or in another format than it claims."""


class MissingColumnsError(SourceError):
    """A mapped column is not in the file."""


class ChangingFileError(SourceError):
    """A file changed while it was read."""


class BadAnswerError(SourceError):
    """A service refused, or answered what cannot be used."""


class ServiceUnavailableError(SourceError):
    """A service does not answer, or is left alone for a while because it did not."""


class DataError(PipelineError):
    """The data can be read but not used."""


class InsufficientDataError(DataError):
    """A product has fewer days of data than training needs."""


class MetadataError(DataError):
    """A metadata file cannot be read, or is not as its contract says."""


class StorageError(PipelineError):
    """A file cannot be written: a full disk, a folder without rights; what was there before is kept."""


class EventError(PipelineError):
    """Events cannot be sent, or messages not be fetched; they wait where they are."""


class RefusedEventError(EventError):
    """Where events are sent this one is refused; others may be taken."""


class MessageError(PipelineError):
    """A message of another system cannot be read."""


class EngineError(PipelineError):
    """Forecasting itself failed."""


class FamilyError(EngineError):
    """A family could not fit or predict."""


class ComputeError(PipelineError):
    """A task on a worker was lost."""


class TaskTimeoutError(ComputeError):
    """A task ran longer than allowed and was ended."""


class TaskMemoryError(ComputeError):
    """A task needed more memory than a worker may have."""


class WorkerDiedError(ComputeError):
    """A task's process ended under it."""


class RegistryError(PipelineError):
    """The truth about models cannot be read or written."""


class SchemaMismatchError(RegistryError):
    """The registry's database is empty, behind or ahead of this code."""


class ChampionChangedError(RegistryError):
    """Another model is in use than the one that a decision was taken against; decide again."""


class NotRegisteredError(RegistryError):
    """No such model, version or job."""


class LockedError(RegistryError):
    """Another process is at work on the same thing, and went on for longer than the wait."""


class LockLostError(RegistryError):
    """The lock under which the work ran is gone: somebody else may have begun."""


class IntegrityError(RegistryError):
    """An artefact is missing, torn, or not what its name says."""
