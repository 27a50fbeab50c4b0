"""Log lines: JSON for machines or text at a terminal, with what was at work on each, and without any secret.

Modules log with the standard library, as libraries do; everything goes through one formatter. structlog makes it, with
the first line: it loads 0.2 s of modules, and most workers have nothing to say.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from pipeline.redaction import Redactor, secrets_of

if TYPE_CHECKING:
    from pipeline.settings import Settings

CORRELATION_TAG = "pipeline/correlation"
"""A run's tag: what caused it, when that was a message of another system; its lines bear it."""
HANDLER = "pipeline"
OURS = "pipeline"
"""The logger above all of ours."""
FIRST = ("timestamp", "level", "logger", "event", "run", "tenant", "product", "job", "correlation")
logger = logging.getLogger(__name__)
_context: ContextVar[Mapping[str, str]] = ContextVar("context", default=MappingProxyType({}))


@dataclass(frozen=True)
class Setup:
    """How this process logs; workers are given the same.

    `only_lines` says that nothing but lines may stand on stderr; `secrets` is what is hidden.
    """

    level: str
    as_json: bool
    only_lines: bool
    secrets: frozenset[str] = field(repr=False)


def configure(settings: Settings) -> None:
    """Log as the settings say: LOG_LEVEL and LOG_FORMAT, to stderr; what was configured before is replaced."""
    asked = settings.log_format
    as_json = asked == "json" or (asked == "auto" and not sys.stderr.isatty())
    install(Setup(settings.log_level, as_json, asked == "json", secrets_of(settings)))


def install(setup: Setup) -> None:
    """Log to stderr in this way.

    Libraries tell nothing below INFO: SQLAlchemy's DEBUG holds rows of customers, httpcore's the headers with tokens.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.name == HANDLER]:
        root.removeHandler(handler)
    root.addHandler(_Lines(setup))
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[setup.level]))
    logging.getLogger(OURS).setLevel(setup.level)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # Says on every connection that all is as usual.
    echo = logging.getLogger("sqlalchemy.engine.Engine")
    if not echo.handlers:  # DB_ECHO would add a handler of its own, to stdout.
        echo.addHandler(logging.NullHandler())
    logging.captureWarnings(True)
    sys.excepthook = _uncaught


def current() -> Setup | None:
    """Return how this process logs, None where nobody configured it: in a program that uses the pipeline's parts."""
    return next((one.setup for one in logging.getLogger().handlers if isinstance(one, _Lines)), None)


def context() -> dict[str, str]:
    """Return what is bound here and now, to be sent along with a task."""
    return dict(_context.get())


def bind(**fields: str | None) -> None:
    """Put fields on every line from here on, to the end of the block that is `bound`, or of the process."""
    _context.set({**_context.get(), **{name: value for name, value in fields.items() if value is not None}})


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Put fields on every line that is logged inside the block, in this thread; those that are None are left out."""
    token = _context.set({**_context.get(), **{name: value for name, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _context.reset(token)


class _Lines(logging.StreamHandler[Any]):
    """Writes to what stderr is at the moment: a progress bar, or Dagster, may have put itself in between."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(sys.stderr)
        self.setup, self.name = setup, HANDLER

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            self.formatter = _formatter(self.setup)
        return super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say where the line came from; the standard way would show its arguments, secrets included."""
        text = f"a line of {record.name} at {record.pathname}:{record.lineno} could not be written"
        told = logging.LogRecord(__name__, logging.ERROR, __file__, 0, f"{text}: {sys.exc_info()[0]}", None, None)
        with suppress(OSError, ValueError):  # Stderr is closed: there is nobody to tell.
            self.stream.write(self.format(told) + self.terminator)


def _formatter(setup: Setup) -> logging.Formatter:
    from structlog import dev, processors, stdlib

    text = dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=dev.plain_traceback)
    return stdlib.ProcessorFormatter(
        processors=[
            stdlib.add_logger_name,
            stdlib.add_log_level,
            processors.TimeStamper(fmt="iso", utc=True),
            stdlib.ProcessorFormatter.remove_processors_meta,
            processors.format_exc_info,
            _with_context,
            Redactor(setup.secrets),
            processors.JSONRenderer() if setup.as_json else text,
        ]
    )


def _with_context(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """Add what is bound, in the order that people look for."""
    whole = {**_context.get(), **line}
    return {name: whole[name] for name in FIRST if name in whole} | whole


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the process: its text and traceback may hold a secret, too."""
    logger.critical("ended by an error that nobody expected: %s", kind.__name__, exc_info=(kind, error, trace))
