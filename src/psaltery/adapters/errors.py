"""Failures have four names. Whatever else is raised is a bug and is not caught."""

from collections.abc import Sequence
from datetime import datetime

from psaltery.records.drafts import Problem


class Failure(Exception):
    """The base of the four; never raised itself. `str(failure)` is a sentence for a person."""


class TryLater(Failure):
    """The outside system can't answer now (429, 5xx, dropped connection).

    `at`: not before this moment (aware, UTC), or None where the vendor gave no delay.
    `uncertain`: the request may have been carried out although no (whole) answer came.
    `limit`: "minute", "day", "concurrent" when a limit of the vendor or of ours was the reason.
    """

    def __init__(
        self,
        sentence: str,
        *,
        at: datetime | None = None,
        uncertain: bool = False,
        limit: str = "",
    ) -> None:
        super().__init__(sentence)
        self.at = at
        self.uncertain = uncertain
        self.limit = limit


class Rejected(Failure):
    """The outside system refused; a person must look. Every message of the vendor is kept."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


class NeedsReconnect(Failure):
    """The credential no longer works. `code`: token_revoked, scope_missing, keys_refused, …"""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class BadSettings(Failure):
    """A setting or an entered value is wrong. `which` names it; the sentence says what to do."""

    def __init__(self, sentence: str, *, which: str) -> None:
        super().__init__(sentence)
        self.which = which
