"""What a product of the PSA is called among the items of the books. Pure."""

from psaltery.kit.hashing import content_hash
from psaltery.kit.text import single_line

# Xero's limit for an item's code: https://developer.xero.com/documentation/api/accounting/items
CODE_MOST = 30
_DIGEST = 6


def item_code(product: str) -> str:
    """The product's identifier; a long one is cut, with a short digest of all of it behind.

    The same product always has the same code, and two that begin alike have different ones.
    """
    # Deterministic: after a lost answer the same product must be looked up by the same code.
    whole = single_line(product)
    if len(whole) <= CODE_MOST:
        return whole
    digest = content_hash(whole)[:_DIGEST]
    return f"{whole[: CODE_MOST - _DIGEST - 1].rstrip()}-{digest}"
