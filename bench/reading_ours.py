"""A process that reads an organisation's feeds into the ledger, and says how that went."""

import sys
from time import perf_counter, process_time

from bench.scratch import peak_megabytes, tell
from psaltery import startup


def main(organisation: str, *names: str) -> None:
    """Read these feeds of the organisation, one after the other, to their ends."""
    startup.set_up_django()
    from psaltery.adapters.budget import Priority
    from psaltery.connections.models import Feed
    from psaltery.sync.pull import pull

    feeds = Feed.objects.filter(organisation=int(organisation))
    wanted = [feeds.get(name=name).pk for name in names]
    before = peak_megabytes()
    started, busy = perf_counter(), process_time()
    for feed in wanted:
        while pull(feed, Priority.BACKFILL):
            pass
    tell(
        {
            "seconds": perf_counter() - started,
            "cpu": process_time() - busy,
            "records": sum(feeds.values_list("done", flat=True).filter(pk__in=wanted)),
            "peak_mb": peak_megabytes(),
            "before_mb": before,
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
