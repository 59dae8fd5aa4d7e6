"""Deciding: the time for many documents, and that the number of queries does not grow."""

from collections import Counter
from time import perf_counter, process_time
from typing import Any

from bench import world
from bench.counting import statements
from bench.measure import Measure, Size
from bench.rows import analyse, multiply

COUNTS = {Size.FULL: (100, 1_000, 10_000), Size.TINY: (20, 40)}
MOST_SECONDS = 20.0
CUSTOMERS = 20


def run(size: Size) -> list[Measure]:
    """Documents of real content, planned and decided as the engine does, in one batch each time."""
    counts = COUNTS[size]
    with world.rig(companies=CUSTOMERS * 4) as rig:
        target = _documents(rig, counts[-1])
        runs = [_decided(target, count) for count in counts]
    queries = [run["queries"] for run in runs]
    last = runs[-1]
    return [
        Measure(
            what=f"decide and plan {counts[-1]:,} documents",
            budget=f"< {MOST_SECONDS:g} s on one core",
            measured=f"{last['seconds']:.1f} s",
            kept=last["seconds"] < MOST_SECONDS,
            remark=f"{last['cpu']:.1f} s of CPU of ours; decisions: {last['decisions']}",
            figures={"seconds": last["seconds"], "cpu": last["cpu"]},
        ),
        Measure(
            what=f"queries for {', '.join(f'{count:,}' for count in counts)} documents",
            budget="a fixed number",
            measured=", ".join(map(str, queries)),
            kept=len(set(queries)) == 1,
            figures=dict(zip(map(str, counts), queries, strict=True)),
        ),
    ]


def _documents(rig: Any, count: int) -> Any:
    """`count` waiting documents of known customers, copies of real ones; where they go to."""
    from psaltery.connections.models import Feed
    from psaltery.posting.models import Posting

    world.close_invoices(rig, CUSTOMERS, CUSTOMERS)
    rig.sync()
    # The books are read again for the new contacts, the PSA is not: there these are posted now.
    for feed in Feed.objects.filter(organisation__in=rig.organisations):
        rig.read(feed)
    posted = Posting.objects.filter(state=Posting.State.IN_STEP)
    rows = list(posted.select_related("organisation__connection"))
    each = count // len(rows)
    for row in rows:
        multiply(
            "desk_documents",
            row.document_id,
            among=f"generate_series(1, {each}) AS n",
            external_id="old.external_id || '-' || n",
            number="old.number || '-' || n",
        )
    multiply(
        "posting_posting",
        rows[0].document_id,
        among="(SELECT d.id FROM desk_documents d LEFT JOIN posting_posting p"
        " ON p.document_id = d.id WHERE p.document_id IS NULL) AS d",
        document_id="d.id",
        state="'waiting'",
    )
    analyse()
    return rows[0].organisation


def _decided(target: Any, count: int) -> dict[str, Any]:
    from psaltery.posting.decide import decide
    from psaltery.posting.models import Posting
    from psaltery.posting.plan import gather

    with statements() as seen:
        started, busy = perf_counter(), process_time()
        waiting = Posting.objects.filter(organisation=target, state=Posting.State.WAITING)
        batch = list(
            waiting.select_related("document", "document__connection").order_by("pk")[:count]
        )
        decisions = [decide(one.situation) for one in gather(target, batch, lambda row: "")]
        seconds, cpu = perf_counter() - started, process_time() - busy
    assert len(decisions) == count
    kinds = Counter(type(decision).__name__ for decision in decisions)
    told = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    return {"seconds": seconds, "cpu": cpu, "queries": len(seen), "decisions": told}
