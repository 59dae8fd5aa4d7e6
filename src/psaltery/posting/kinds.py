"""What a document of the PSA is in the books. Pure."""

from psaltery.posting.policy import Policy
from psaltery.posting.situation import Situation
from psaltery.records.drafts import BooksKind
from psaltery.records.psa import DocumentKind

# What a document becomes in the books.
BOOKS_KINDS = {
    DocumentKind.INVOICE: BooksKind.INVOICE,
    DocumentKind.CREDIT_MEMO: BooksKind.CREDIT_NOTE,
    DocumentKind.BILL: BooksKind.BILL,
    DocumentKind.EXPENSE: BooksKind.BILL,
    DocumentKind.PURCHASE_ORDER: BooksKind.PURCHASE_ORDER,
}


def books_kind(kind: DocumentKind, policy: Policy) -> BooksKind:
    """What a document becomes in books with these policies."""
    if kind is DocumentKind.EXPENSE and policy.expenses == "spend":
        return BooksKind.SPEND
    return BOOKS_KINDS[kind]


def kind_of(situation: Situation) -> BooksKind:
    """What the document is in the books already, or what it becomes there."""
    if situation.link is not None and situation.link.kind:
        return BooksKind(situation.link.kind)
    return books_kind(situation.document.kind, situation.book.policy)
