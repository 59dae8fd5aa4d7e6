"""How soon an organisation is read again: quickly while its money moves, slowly at rest. Pure.

Webhooks make no difference: they are hints, may be missing altogether, and say nothing of payments.
"""

from datetime import timedelta

# So long after something new was found, the interval is this part of what is set.
_RUNGS = ((timedelta(hours=1), 24), (timedelta(days=1), 6), (timedelta(days=7), 2))
# What people may set is never less; nor is what we set ourselves.
LEAST_SECONDS = 300
_DAY_SECONDS = 86_400
# Of a day's calls polls take a quarter, and half of what is left of them: people, webhooks and
# what is written come first.
_OF_CAP, _OF_LEFT = 4, 2


def pace(
    seconds: int, quiet: timedelta | None, calls: int, cap: int | None, left: int | None
) -> int:
    """Seconds between two ticks of an organisation, `seconds` (as it is set) at most.

    `quiet`: since something new was found, None: never. `calls`: of a tick. `cap` and `left`: of
    the vendor's day, None where it has no limit.
    """
    if quiet is None:
        return seconds
    for since, part in _RUNGS:
        wanted = min(max(seconds // part, LEAST_SECONDS), seconds)
        if quiet <= since and _affordable(wanted, calls, cap, left):
            return wanted
    return seconds


def _affordable(seconds: int, calls: int, cap: int | None, left: int | None) -> bool:
    if cap is None:
        return True
    allowed = min(cap // _OF_CAP, (cap if left is None else left) // _OF_LEFT)
    return _DAY_SECONDS * calls <= allowed * seconds
