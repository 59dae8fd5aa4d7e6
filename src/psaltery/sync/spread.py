"""When an organisation's next tick is: each has its own place in the interval. Pure.

A hundred organisations that were connected in one minute would otherwise be read in one minute for
ever. All feeds of an organisation with the same interval share its place, so that one tick brings
all kinds of records.
"""

from datetime import UTC, datetime

# Multiples of the golden ratio, in fractions of 2^32, fill a circle evenly however many there are.
_GOLDEN, _WHOLE = 0x9E3779B9, 1 << 32
# What was read just now, because somebody asked, is not read again at once.
_LEAST_PART = 10


def next_tick(organisation_id: int, seconds: int, moment: datetime) -> datetime:
    """The organisation's next place in the grid of `seconds`, a tenth of it away at least.

    Never later than an interval and a tenth after `moment` (aware, UTC).
    """
    place = (organisation_id * _GOLDEN % _WHOLE) * seconds // _WHOLE
    earliest = int(moment.timestamp()) + seconds // _LEAST_PART + 1
    return datetime.fromtimestamp(earliest + (place - earliest) % seconds, tz=UTC)
