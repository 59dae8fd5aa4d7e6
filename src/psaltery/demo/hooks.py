"""Has both sandboxes tell Psaltery of changes, as the vendors do."""

import httpx2

from psaltery.connections.models import Connection
from psaltery.demo.stage import Stage, StageFailed
from psaltery.inbound import keys, real_time
from psaltery.inbound.queries import xero_address

# Of the sandbox's app; a stranger can do no more with it than have a feed read sooner.
KEY = "demo-webhooks-key-of-the-sandbox"


def listen(stage: Stage) -> None:
    """Register at both, again at each start: their addresses may have changed.

    Raises the four failures, and StageFailed when the sandbox does not answer.
    """
    books = Connection.objects.get(kind="xero")
    # Kept from the first start: the same key is refused a second time.
    if not keys.of(books):
        keys.add(books, KEY)
    subscription = {"url": xero_address(), "key": KEY}
    try:
        httpx2.post(f"{stage.books_url}/_control/webhooks", json=subscription).raise_for_status()
    except httpx2.HTTPError as wrong:
        raise StageFailed(f"The Xero sandbox takes no webhook: {wrong}") from wrong
    real_time.switch(Connection.objects.get(kind="connectwise"), True)
