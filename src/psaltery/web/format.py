"""How values are written on pages and in CSV files: one place, so that every page says it alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from psaltery.web.icons import ICONS

# ISO 4217 currencies without a minor unit that an MSP may meet.
WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XPF", "VUV", "UGX"})

NOTHING = SafeString('<span class="text-secondary" aria-label="none">–</span>')


@dataclass(frozen=True)
class State:
    """One word of the vocabulary in which every page says how far a thing is."""

    label: str
    icon: str
    meaning: str


STATES = {
    "in_step": State("In step", "circle-check", "Both systems say the same."),
    "waiting": State("Waiting", "clock", "It is in the queue and goes out by itself."),
    "held": State("Held", "hand-stop", "A person must decide or mend something first."),
    "posting": State("Posting", "send", "It is being written to the books now."),
    "uncertain": State(
        "Uncertain", "help-circle", "It was sent and no answer came; it is looked up first."
    ),
    "failed": State("Failed", "circle-x", "The other system refused it."),
    "skipped": State("Skipped", "player-skip-forward", "A rule says it does not go to the books."),
}


def state_key(name: str) -> str:
    """`in step`, `in-step` and `In_step` all mean `in_step`."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """One icon of the sprite; `label` is read out where the icon stands alone."""
    if name not in ICONS:
        # The sprite would show an empty box, which no test and hardly a reader would notice.
        raise ValueError(f"No icon {name!r}: add it to psaltery/web/icons.txt, build the assets.")
    shape = (
        '<svg class="icon {}" width="24" height="24" fill="none" stroke="currentColor"'
        ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    )
    use = '><use href="{}#{}"></use></svg>'
    sprite = static("vendor/icons.svg")
    if label:
        return format_html(
            shape + ' role="img" aria-label="{}"' + use, classes, label, sprite, name
        )
    return format_html(shape + ' aria-hidden="true"' + use, classes, sprite, name)


def state(name: str) -> SafeString:
    """The badge of a state."""
    key = state_key(name)
    known = STATES[key]
    return format_html(
        '<span class="badge state state-{}" title="{}">{}{}</span>',
        key.replace("_", "-"),
        known.meaning,
        icon(known.icon),
        known.label,
    )


def badge(text: str, tone: str = "plain") -> SafeString:
    """A word that stands out where no state fits. Tones: good, info, warn, bad, plain."""
    return format_html('<span class="badge state tone-{}">{}</span>', tone, text)


def amount_text(amount: Decimal, currency: str = "", places: int | None = None) -> str:
    """An amount with thousands separators: 1,234.50. Rounds for the eye only."""
    # Yen have no cents: two places would invent some.
    if places is None:
        places = 0 if currency in WHOLE_CURRENCIES else 2
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    # A tiny negative amount would otherwise read "-0.00".
    return f"{rounded or abs(rounded):,.{places}f}"


def money(amount: Decimal | None, currency: str = "", places: int | None = None) -> SafeString:
    """An amount and its currency, right-aligned by its class, in figures of equal width."""
    if amount is None:
        return NOTHING
    return format_html(
        '<span class="money{}">{}{}</span>',
        " money-negative" if amount < 0 else "",
        amount_text(amount, currency, places),
        format_html(' <span class="money-currency">{}</span>', currency) if currency else "",
    )


def count_text(number: int) -> str:
    """48112 as 48,112."""
    return f"{number:,}"


def day_text(value: date | None) -> str:
    """6 Dec 2026, in every locale's reading order unmistakable."""
    if value is None:
        return ""
    # In the person's zone: near midnight UTC the day is another one.
    if isinstance(value, datetime):
        value = timezone.localtime(value).date() if timezone.is_aware(value) else value.date()
    return f"{value.day} {value:%b %Y}"


def day(value: date | None) -> SafeString:
    """A calendar day."""
    if value is None:
        return NOTHING
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), day_text(value))


def exact_text(moment: datetime) -> str:
    """The moment in the person's time zone, to the second, with the zone's name."""
    local = timezone.localtime(moment)
    return f"{day_text(local)}, {local:%H:%M:%S %Z}"


def _span_text(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h"
    days = seconds // 86_400
    return f"{days} day" if days == 1 else f"{days} days"


def relative_text(moment: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`; beyond two weeks the day itself."""
    span = now - moment
    # Nobody counts back 40 days: from here on the date says more.
    if abs(span) > timedelta(days=14):
        return day_text(moment)
    if abs(span) < timedelta(seconds=5):
        return "just now"
    return f"{_span_text(span)} ago" if span > timedelta() else f"in {_span_text(-span)}"


def when(moment: datetime | None) -> SafeString:
    """A moment: relative to now, and exact in the person's time zone on hover."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time class="when" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exact_text(moment),
        relative_text(moment, timezone.now()),
    )
