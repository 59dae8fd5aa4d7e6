"""Which item of the books a product is, as a person says: what waited for that goes again."""

from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Organisation
from psaltery.connections.opening import open_books
from psaltery.posting import items
from psaltery.sync import push


def choose(organisation: Organisation, product: str, code: str) -> tuple[str, int]:
    """What was done, in a sentence, and how many held documents go again for it.

    Raises BadSettings for a product or an item that nobody knows, and the failures of the books.
    """
    # Asked before the transaction: no transaction waits for a vendor.
    books = open_books(organisation, Priority.INTERACTIVE)
    sentence = items.choose(organisation, product, code, books)
    with transaction.atomic():
        return sentence, push.reconsider(organisation, prefix="item_")
