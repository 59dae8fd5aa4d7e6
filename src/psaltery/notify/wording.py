"""Rules in words, for pages and the command line. Pure but for what it reads from a rule."""

from psaltery.notify.forms import KINDS, TOPICS
from psaltery.notify.letters import amount_text
from psaltery.notify.models import Rule
from psaltery.review.catalogue import entry

_TOPIC_WORDS = {
    "posting": "documents",
    "payment": "payments",
    "drift": "changes in the books",
    "connection": "connections",
    "alert": "customers",
}


def when(rule: Rule) -> str:
    """`At once, when it has lasted 2 minutes`; `Daily at 08:00`."""
    if rule.timing == Rule.Timing.DAILY:
        days = "On working days" if rule.workdays else "Every day"
        return f"{days} at {rule.hour:02}:00"
    if not rule.wait_minutes:
        return "At once"
    minutes = f"{rule.wait_minutes} minute{'' if rule.wait_minutes == 1 else 's'}"
    return f"At once, when it has lasted {minutes}"


def what(rule: Rule) -> str:
    """`Errors about documents and payments, of Adelaide, from 500.00`."""
    grave = rule.least_severity == Rule.Severity.ERROR
    parts = ["Errors" if grave else "Warnings and errors"]
    if rule.only_mine:
        parts.append("assigned to me")
    if set(rule.topics) < {value for value, _ in TOPICS} and rule.topics:
        parts.append(f"about {listed([_TOPIC_WORDS.get(one, one) for one in rule.topics])}")
    if rule.kinds:
        labels = dict(KINDS)
        parts.append(f"on {listed([labels.get(one, one).lower() for one in rule.kinds])}")
    names = [one.name for one in rule.organisations.all()]
    if names:
        parts.append(f"of {listed(names)}")
    if len(parts) == 1 and not rule.codes:
        parts = ["All errors" if grave else "All warnings and errors"]
    text = " ".join(parts)
    if rule.least_amount is not None:
        text += f", from {amount_text(rule.least_amount)} on"
    if rule.codes:
        text += f"; only: {listed([entry(code).title for code in rule.codes], most=3)}"
    if rule.tell_resolved and rule.timing == Rule.Timing.AT_ONCE:
        text += "; also when mended"
    return text


def listed(words: list[str], most: int = 5) -> str:
    """`a, b and c`; `a, b and 4 more`."""
    shown = words[:most]
    if len(words) > most:
        return f"{', '.join(shown)} and {len(words) - most} more"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
