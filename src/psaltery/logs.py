"""Structured logging: one line an event, JSON for programs and colours for people."""

import sys
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(allow={"action", "job", "task_name"}),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configuration(level: str, form: str) -> dict[str, Any]:
    """Python's logging configuration, and structlog set up to go through it.

    `form` is `json`, `console`, or `auto`: `console` on a terminal, `json` elsewhere.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    as_console = form == "console" or (form == "auto" and sys.stderr.isatty())
    last = [_console()] if as_console else _json()
    return {
        "version": 1,
        # Modules make their loggers on import, some of them before this is applied.
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": "structlog.stdlib.ProcessorFormatter",
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "structured"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # It logs every poll and heartbeat; its warnings and job outcomes are what matters.
            "procrastinate": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            "httpx2": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "_granian": {"level": "ERROR"},
        },
    }


def _console() -> Any:
    return structlog.dev.ConsoleRenderer(
        exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False)
    )


def _json() -> list[Any]:
    return [
        # Without local variables: tokens and customers' data stay out of the log.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(default=str),
    ]
