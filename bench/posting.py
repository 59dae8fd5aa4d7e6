"""Posting: the calls for a batch of invoices with new contacts."""

from collections import Counter
from time import perf_counter

from bench import world
from bench.measure import Measure, Size

SIZES = {Size.FULL: (200, 20), Size.TINY: (10, 2)}
BUDGETS = {Size.FULL: 5, Size.TINY: 2}


def run(size: Size) -> list[Measure]:
    """Close the invoices in the PSA, read them, then count what posting them asks of the books."""
    from psaltery.adapters.budget import Priority
    from psaltery.connections.models import Feed
    from psaltery.posting.models import Link, Posting
    from psaltery.sync import push

    count, customers = SIZES[size]
    with world.rig(companies=customers * 4) as rig:
        world.close_invoices(rig, count, customers)
        for feed in Feed.objects.filter(organisation__chosen=True):
            rig.read(feed)
        waiting = Posting.objects.filter(state=Posting.State.WAITING)
        (target,) = set(waiting.values_list("organisation_id", flat=True))
        assert target is not None
        mark, _ = world.asked(rig, "books")
        started = perf_counter()
        while push.post(target, Priority.SCHEDULE):
            pass
        seconds = perf_counter() - started
        _, log = world.asked(rig, "books", mark)
        posted = Link.objects.count()
    calls = Counter(f"{entry['method']} {entry['path'].rpartition('/')[2]}" for entry in log)
    return [
        Measure(
            what=f"calls to post {count} invoices with {customers} new contacts",
            budget=str(BUDGETS[size]),
            measured=str(len(log)),
            kept=len(log) <= BUDGETS[size] and posted == count,
            remark=", ".join(f"{number} × {what}" for what, number in calls.items())
            + f"; {posted} posted in {seconds:.1f} s, the sandbox's own time within",
            figures={"calls": len(log), "posted": posted, "seconds": seconds},
        )
    ]
