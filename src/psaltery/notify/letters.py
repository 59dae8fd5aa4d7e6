"""What a message says, before it becomes mail, Slack blocks or a Teams card. Pure.

One line is one card: its sentence, the money it holds, what to do, and where.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from psaltery.kit.text import cut, single_line
from psaltery.notify.decide import AGAIN, RESOLVED

# A message is read on a phone: what is below a dozen lines is better seen on the page.
LINES_SHOWN = 12
_SUBJECT = 160
# ISO 4217 currencies without a minor unit that an MSP may meet.
_WHOLE = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XPF", "VUV", "UGX"})

Money = tuple[tuple[Decimal, str], ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One card in a message."""

    sentence: str
    url: str
    title: str = ""  # of the cause, from the catalogue
    advice: str = ""
    where: str = ""  # the organisation
    documents: int = 0
    money: Money = ()
    grave: bool = True
    event: str = "opened"
    note: str = ""

    @property
    def holds(self) -> str:
        """`3 documents, 4,210.00 AUD`; "" where no document is held."""
        if not self.documents:
            return ""
        return f"{counted(self.documents, 'document')}, {money_text(self.money)}"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Lines or facts under a heading; `more` says how many are not shown, `url` where all are."""

    title: str
    lines: tuple[Line, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    more: int = 0
    url: str = ""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A whole message. `why` says why its reader gets it."""

    subject: str
    lead: str
    sections: tuple[Section, ...] = ()
    button: str = ""
    url: str = ""
    why: str = ""
    settings_url: str = ""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses that messages link to."""

    exceptions: str
    settings: str
    home: str


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What a digest tells beside the open cards."""

    name: str  # of the day before, `Friday 20 November`
    posted: int = 0
    posted_money: Money = ()
    mended: int = 0  # cards that closed without anybody
    late: tuple[tuple[str, str], ...] = ()  # feeds and since when, or why


def money_text(money: Money) -> str:
    """`4,210.00 AUD + 90.00 NZD`, the largest first."""
    # Side by side, never added: a sum over currencies would be an amount that exists nowhere.
    parts = [f"{amount_text(amount, code)} {code}" for amount, code in sorted(money, reverse=True)]
    return " + ".join(parts)


def amount_text(amount: Decimal, currency: str = "") -> str:
    """An amount with thousands separators, rounded for the eye to its currency's minor unit."""
    places = 0 if currency in _WHOLE else 2
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{rounded or abs(rounded):,.{places}f}"


def counted(number: int, noun: str) -> str:
    """`1 document`, `1,200 documents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def subject(text: str) -> str:
    """A subject line: one line, not too long, and recognisable."""
    return cut(single_line(f"Psaltery: {text}"), _SUBJECT)


def ranked(lines: Iterable[Line]) -> list[Line]:
    """The gravest first, then by money: the sum whatever the currency, for the order alone."""
    return sorted(lines, key=lambda line: (not line.grave, -_size(line), line.sentence))


def news(lines: Sequence[Line], held: Money, places: Places, why: str) -> Letter:
    """What happened to some cards, the most money first.

    `held`: what the waiting ones hold together, a document that two of them hold counted once.
    """
    opened = ranked(line for line in lines if _kind(line) == "opened")
    again = ranked(line for line in lines if _kind(line) == "again")
    resolved = ranked(line for line in lines if _kind(line) == RESOLVED)
    parts = (
        ("Waits for a person", opened),
        ("Still waits for a person", again),
        ("Mended", resolved),
    )
    single = lines[0] if len(lines) == 1 else None
    return Letter(
        subject=_news_subject([*opened, *again], resolved, held),
        lead=_news_lead(len(opened), len(again), len(resolved), held),
        sections=tuple(_section(title, some, places) for title, some in parts if some),
        button="Open it" if single else "See what waits",
        url=single.url if single else places.exceptions,
        why=why,
        settings_url=places.settings,
    )


def digest(lines: Sequence[Line], held: Money, day: Day, places: Places, why: str) -> Letter | None:
    """The day's letter: what waits, what was done, what is late. None when all is well."""
    if not lines and not day.late:
        return None
    waits = _section("Waits for a person", ranked(lines), places)
    late = Section(title="Late", facts=day.late)
    done = Section(title=day.name, facts=_done(day))
    said = f"{_waiting(len(lines))}{_holding(held)}" if lines else "Nothing waits for a person"
    if day.late:
        said += f"; {counted(len(day.late), 'feed')} late"
    return Letter(
        subject=subject(said),
        lead=f"{said}.",
        sections=tuple(one for one in (waits, late, done) if one.lines or one.facts),
        button="See what waits",
        url=places.exceptions,
        why=why,
        settings_url=places.settings,
    )


def trial(who: str, places: Places) -> Letter:
    """What the test button sends."""
    return Letter(
        subject=subject("this is a test"),
        lead=f"This is what a message to {who} looks like. Nothing is wrong; somebody asked for a "
        "test.",
        button="Open Psaltery",
        url=places.home,
        why="A test was asked for under Settings, Notifications.",
        settings_url=places.settings,
    )


def plain(letter: Letter) -> str:
    """The letter as plain text: for mail, and for the history."""
    parts = [letter.lead]
    for one in letter.sections:
        parts += ["", one.title.upper()]
        parts += [f"{name}: {value}" for name, value in one.facts]
        for line in one.lines:
            parts += ["", *_plain_line(line)]
        if one.more:
            parts += ["", f"… and {one.more:,} more: {one.url}"]
    if letter.url:
        parts += ["", f"{letter.button}: {letter.url}"]
    parts += ["", "--", letter.why, f"Change what you are told: {letter.settings_url}"]
    return "\n".join(parts) + "\n"


def _plain_line(line: Line) -> list[str]:
    head = f"* {line.sentence}"
    facts = " · ".join(part for part in (line.holds, line.where, line.note) if part)
    return [head, *(f"  {part}" for part in (facts, line.advice, line.url) if part)]


def _section(title: str, lines: Sequence[Line], places: Places) -> Section:
    shown = tuple(lines[:LINES_SHOWN])
    return Section(title=title, lines=shown, more=len(lines) - len(shown), url=places.exceptions)


def _size(line: Line) -> Decimal:
    return sum((abs(amount) for amount, _ in line.money), Decimal(0))


def _kind(line: Line) -> str:
    if line.event == RESOLVED:
        return RESOLVED
    return "again" if line.event.endswith(AGAIN) or line.event.startswith("woken") else "opened"


def _news_subject(waiting: Sequence[Line], resolved: Sequence[Line], held: Money) -> str:
    if waiting:
        if len(waiting) == 1:
            one = waiting[0]
            return subject((one.title or one.sentence) + (f" ({one.holds})" if one.holds else ""))
        return subject(_waiting(len(waiting)) + _holding(held))
    if len(resolved) == 1:
        return subject(f"mended: {resolved[0].title or resolved[0].sentence}")
    return subject(f"{counted(len(resolved), 'exception')} mended")


def _news_lead(opened: int, again: int, resolved: int, held: Money) -> str:
    said = []
    if opened:
        said.append(f"{counted(opened, 'exception')} opened")
    if again:
        said.append(f"{counted(again, 'exception')} still open")
    if opened or again:
        said[-1] += _holding(held)
    if resolved:
        said.append(f"{counted(resolved, 'exception')} mended")
    return "; ".join(said) + "."


def _waiting(number: int) -> str:
    return f"{counted(number, 'exception')} wait{'s' if number == 1 else ''} for a person"


def _holding(held: Money) -> str:
    return f", holding {money_text(held)}" if held else ""


def _done(day: Day) -> tuple[tuple[str, str], ...]:
    posted = counted(day.posted, "document")
    if day.posted:
        posted += f", {money_text(day.posted_money)}"
    facts = [("Written to the books", posted)]
    if day.mended:
        facts.append(("Mended by itself", counted(day.mended, "exception")))
    return tuple(facts)
