"""Where the PSA's own client shows a record. No call is made: a page opens while it is away."""

from collections.abc import Callable
from functools import cache

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import Failure
from psaltery.connections.models import Organisation
from psaltery.connections.opening import unchecked_adapter
from psaltery.kit.sealing import SealBroken

# Of a connection, a kind of record and its id in the PSA; "" where nothing can tell.
Addresses = Callable[[int, str, str], str]


def psa_addresses() -> Addresses:
    """For the records of one page: each connection is opened once, however many there are."""

    @cache
    def opened(connection_id: int) -> Callable[[str, str], str]:
        site = Organisation.objects.filter(connection=connection_id).select_related("connection")
        try:
            found = site.first()
            psa = unchecked_adapter(found, Priority.INTERACTIVE) if found else None
        # A connection that can't be opened costs its links, not the page.
        except (Failure, SealBroken):
            psa = None
        return psa.web_address if psa else lambda kind, key: ""

    return lambda connection_id, kind, key: opened(connection_id)(kind, key)
