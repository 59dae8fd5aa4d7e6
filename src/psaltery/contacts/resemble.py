"""How much a contact of the books resembles a company of the PSA, and when that is sure. Pure.

A pair is sure when what they share identifies (a number, the same name, tax number or domain beside
a similar name), nothing contradicts it, and neither of the two has another partner nearly as good.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

# Addresses there say nothing about the company.
FREE_MAIL = frozenset(
    re.findall(
        r"\S+",
        "gmail.com googlemail.com outlook.com outlook.com.au hotmail.com hotmail.co.uk live.com "
        "live.com.au msn.com yahoo.com yahoo.com.au yahoo.co.uk yahoo.co.nz icloud.com me.com "
        "mac.com aol.com proton.me protonmail.com gmx.com gmx.de gmx.net web.de t-online.de "
        "bigpond.com bigpond.net.au optusnet.com.au iinet.net.au tpg.com.au xtra.co.nz "
        "btinternet.com sky.com comcast.net verizon.net att.net mail.com zoho.com",
    )
)
IDENTIFIED = 100
_TAX, _SAME_NAME, _DOMAIN, _ALIKE = 60, 55, 40, 45
_CONTRADICTED = 40
MOST = 99  # only a number identifies wholly
LEAST = 25  # below, a suggestion would be noise
MARGIN = 15
SHOWN = 5
# A domain of more companies than this is a group's or the MSP's own.
_SHARED_DOMAIN = 3
_TAX_DIGITS = 8
_SIMILAR, _RATHER_SIMILAR = 40, 50


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A contact of the books that no company is linked to."""

    id: str
    name: str
    key: str  # comparable name
    email: str = ""
    tax_number: str = ""
    account_number: str = ""
    contact_number: str = ""


class Firm(msgspec.Struct, frozen=True, kw_only=True):
    """A company of the PSA that has no contact in this organisation."""

    id: int
    name: str
    key: str
    numbers: frozenset[str] = frozenset()  # by which the books may call it
    tax_number: str = ""
    domains: frozenset[str] = frozenset()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A company that a contact may be: 0 to 100, and why (number, tax, domain, name, alike)."""

    company: int
    name: str
    score: int
    why: tuple[str, ...]
    sure: bool = False


def domain_of(address: str) -> str:
    """The domain of an e-mail or web address that tells a company; "" for free mail and none."""
    text = address.strip().casefold()
    host = text.rpartition("@")[2] if "@" in text else re.sub(r"^[a-z]+://", "", text)
    host = host.split("/")[0].split(":")[0].removeprefix("www.")
    return host if "." in host and host not in FREE_MAIL else ""


def tax_key(number: str) -> str:
    """A tax number for comparing: "ABN 51 824 753 556" is 51824753556; "" when too short."""
    digits = re.sub(r"\D", "", number)
    # Shorter ones are placeholders that many companies share.
    return digits if len(digits) >= _TAX_DIGITS else ""


def similarity(left: str, right: str) -> int:
    """How alike two comparable names are, in per cent, as pg_trgm reckons."""
    ours, theirs = _trigrams(left), _trigrams(right)
    return 100 * len(ours & theirs) // len(ours | theirs) if ours and theirs else 0


def _trigrams(text: str) -> set[str]:
    words = [f"  {word} " for word in re.findall(r"\w+", text)]
    return {word[at : at + 3] for word in words for at in range(len(word) - 2)}


def judge(contact: Contact, firm: Firm) -> Candidate:
    """How much these two are alike. `sure` is by themselves, whoever else there is."""
    named = {contact.account_number.casefold(), contact.contact_number.casefold()} - {""}
    by_number = bool(named & firm.numbers)
    taxes = tax_key(contact.tax_number), tax_key(firm.tax_number)
    by_tax, against = bool(taxes[0]) and taxes[0] == taxes[1], all(taxes) and taxes[0] != taxes[1]
    by_domain = domain_of(contact.email) in firm.domains
    same = bool(contact.key) and contact.key == firm.key
    alike = similarity(contact.key, firm.key)
    score = _TAX * by_tax + _DOMAIN * by_domain
    score += _SAME_NAME if same else _ALIKE * alike // 100
    # Different tax numbers are different companies, however alike their names are.
    score = max(min(score, MOST) - _CONTRADICTED * against, 0)
    found = {
        "number": by_number,
        "tax": by_tax,
        "domain": by_domain,
        "name": same,
        "alike": not same and alike >= _SIMILAR,
    }
    identified = (
        same
        or (by_tax and (by_domain or alike >= _SIMILAR))
        or (by_domain and alike >= _RATHER_SIMILAR)
    )
    return Candidate(
        company=firm.id,
        name=firm.name,
        score=IDENTIFIED if by_number else score,
        why=tuple(word for word, holds in found.items() if holds),
        sure=by_number or (identified and not against),
    )


class Firms:
    """Companies by what a contact may share with them."""

    def __init__(self, firms: Iterable[Firm]) -> None:
        self.by_id = {firm.id: firm for firm in firms}
        self._shared: dict[tuple[str, str], set[int]] = defaultdict(set)
        for firm in self.by_id.values():
            for mark in _marks(firm):
                self._shared[mark].add(firm.id)

    def near(self, contact: Contact) -> set[int]:
        """Those that share a number, a tax number, a domain or the name."""
        found: set[int] = set()
        for mark in _contact_marks(contact):
            sharing = self._shared.get(mark, set())
            if mark[0] != "domain" or len(sharing) <= _SHARED_DOMAIN:
                found |= sharing
        return found


def _marks(firm: Firm) -> list[tuple[str, str]]:
    marks = [("number", number) for number in firm.numbers]
    marks += [("domain", domain) for domain in firm.domains]
    marks += [("tax", tax_key(firm.tax_number)), ("name", firm.key)]
    return [mark for mark in marks if mark[1]]


def _contact_marks(contact: Contact) -> list[tuple[str, str]]:
    marks = [
        ("number", contact.account_number.casefold()),
        ("number", contact.contact_number.casefold()),
        ("domain", domain_of(contact.email)),
        ("tax", tax_key(contact.tax_number)),
        ("name", contact.key),
    ]
    return [mark for mark in marks if mark[1]]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What is sure, by contact, and what a person must choose from, the best first."""

    sure: Mapping[str, Candidate]
    open: Mapping[str, tuple[Candidate, ...]]


def decide(
    contacts: Sequence[Contact],
    firms: Firms,
    alike: Mapping[str, Iterable[int]],
    never: frozenset[tuple[str, int]] = frozenset(),
) -> Judged:
    """Pair contacts with companies.

    `alike` has companies of similar names by contact, found elsewhere. `never` has pairs that a
    person took apart: they may be suggested and are never sure.
    """
    ranked = {
        contact.id: _ranked(contact, firms, firms.near(contact) | set(alike.get(contact.id, ())))
        for contact in contacts
    }
    sure = _alone(ranked, never)
    # A company that is surely one contact is offered for no other.
    taken = {candidate.company for candidate in sure.values()}
    left: dict[str, tuple[Candidate, ...]] = {}
    for contact, candidates in ranked.items():
        free = [one for one in candidates if one.company not in taken][:SHOWN]
        if contact not in sure and free:
            left[contact] = tuple(free)
    return Judged(sure=sure, open=left)


def _ranked(contact: Contact, firms: Firms, near: Iterable[int]) -> list[Candidate]:
    judged = (judge(contact, firms.by_id[key]) for key in near if key in firms.by_id)
    return sorted(
        (one for one in judged if one.score >= LEAST or one.why),
        key=lambda one: (-one.score, one.name, one.company),
    )


def _alone(
    ranked: Mapping[str, Sequence[Candidate]], never: frozenset[tuple[str, int]]
) -> dict[str, Candidate]:
    """The sure pairs whose two sides have nobody else nearly as good."""
    scores: dict[int, list[int]] = defaultdict(list)
    for candidates in ranked.values():
        for one in candidates:
            scores[one.company].append(one.score)
    found = {}
    for contact, candidates in ranked.items():
        best = candidates[0] if candidates else None
        if best is None or not best.sure or (contact, best.company) in never:
            continue
        # Both sides are looked at: of two contacts for one company neither is sure.
        near = [one for one in candidates[1:] if one.score > best.score - MARGIN]
        rivals = [score for score in scores[best.company] if score > best.score - MARGIN]
        if not near and len(rivals) == 1:
            found[contact] = best
    return found
