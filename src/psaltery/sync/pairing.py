"""When contacts are paired with companies: after a run of either has brought something new."""

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Feed, Organisation
from psaltery.contacts import service
from psaltery.sync import push, queue

# Names of feeds, the books' and the PSA's, that bring what pairs are judged by.
_FEEDS = frozenset({"contacts", "companies"})


def run_ended(feed: Feed) -> None:
    """Queue pairing where this run of a feed makes it worth while; within its transaction."""
    # At the end of a run, not page by page: a match on one page may have a rival on a later one.
    if feed.name not in _FEEDS or not feed.changed:
        return
    for organisation in _concerned(feed.organisation):
        queue.contacts(organisation)


def _concerned(organisation: Organisation) -> list[int]:
    """The books themselves, or all books where companies of the PSA have changed."""
    if registry.manifest(organisation.connection.kind).role == Role.BOOKS:
        return [organisation.pk]
    kinds = [manifest.kind for manifest in registry.manifests(Role.BOOKS)]
    books = Organisation.objects.filter(chosen=True, connection__kind__in=kinds)
    return list(books.order_by("pk").values_list("pk", flat=True))


def pair(organisation_id: int) -> service.Paired:
    """Pair the contacts of an organisation; what was held for want of one goes again."""
    organisation = Organisation.objects.select_related("connection").get(pk=organisation_id)
    done = service.pair(organisation)
    if done.linked or done.followed:
        push.reconsider(organisation, prefix="contact_")
    return done
