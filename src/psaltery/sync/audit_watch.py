"""The nightly look at the audit log's hash chain, and its card."""

from psaltery.audit.models import Verification
from psaltery.audit.verify import verify
from psaltery.review.reasons import Reason
from psaltery.review.service import close_cause, open_card

CODE, ABOUT = "audit_changed", "audit"


def look() -> Verification:
    """Verify the whole log; a card says what is not as it was sealed."""
    found = verify()
    if found.count:
        open_card(None, _reason(found))
    else:
        close_cause(None, CODE, ABOUT, "The whole log verifies again.")
    return found


def _reason(found: Verification) -> Reason:
    first = " ".join(problem["sentence"] for problem in found.problems[:3])
    sentence = f"{found.count:,} of the audit log's entries or blocks are not as sealed. {first}"
    details = {"problems": found.problems}
    return Reason(code=CODE, about=ABOUT, subject="Audit log", sentence=sentence, details=details)
