"""What a command that works with the installation needs around it: start, actor, exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from psaltery.commands.printing import ExitCode, stop


@contextmanager
def working(*, json: bool) -> Iterator[None]:
    """Within, the models may be used, entries are told as "command line", and a failure ends the
    command with its sentence and exit code."""
    from psaltery import startup

    # Before any model is imported: settings are read now, not when the program is loaded.
    startup.start()
    from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, TryLater
    from psaltery.audit.actor import acting_as

    try:
        # So that the audit log tells a command from a worker and from a person on the pages.
        with acting_as("command line"):
            yield
    # The four failures have an exit code each: a script can wait for a vendor, and call a person
    # for a consent.
    except BadSettings as failure:
        stop(f"{failure.which}: {failure}", ExitCode.USAGE, json=json)
    except NeedsReconnect as failure:
        stop(str(failure), ExitCode.NEEDS_PERSON, json=json)
    except TryLater as failure:
        stop(str(failure), ExitCode.UNREACHABLE, json=json)
    except Failure as failure:
        stop(str(failure), ExitCode.PROBLEMS, json=json)
