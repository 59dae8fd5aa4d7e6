"""A letter as an Adaptive Card for Microsoft Teams. Pure.

The same body suits a Workflows webhook ("When a Teams webhook request is received") and the older
incoming webhook.
https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from psaltery.kit.text import cut
from psaltery.notify.letters import Letter, Line, Section

# 28 KB are documented; senders have met refusals from about 21 KB on, so we stay well below.
MOST_BYTES = 18_000
_SENTENCE = 500


def payload(letter: Letter) -> dict[str, Any]:
    """The body for a webhook, with as many lines as its limit of size lets through."""
    # Too large is refused as a whole, so lines are left out rather than the message.
    for lines in (12, 6, 3, 1, 0):
        body = _message(letter, lines)
        if len(msgspec.json.encode(body)) <= MOST_BYTES:
            return body
    return _message(letter, 0)


def _message(letter: Letter, lines: int) -> dict[str, Any]:
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": letter.subject,
        "body": list(_body(letter, lines)),
        "actions": [
            {"type": "Action.OpenUrl", "title": title, "url": url}
            for title, url in ((letter.button, letter.url), ("Settings", letter.settings_url))
            if url
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": letter.subject, "attachments": [attachment]}


def _body(letter: Letter, lines: int) -> Iterator[dict[str, Any]]:
    title = letter.subject.removeprefix("Psaltery: ")
    yield _text(title[:1].upper() + title[1:], weight="Bolder", size="Large")
    if not letter.sections:
        yield _text(letter.lead)
    for part in letter.sections:
        yield from _section(part, lines)
    yield _text(letter.why, subtle=True, spacing="Large")


def _section(part: Section, most: int) -> Iterator[dict[str, Any]]:
    yield _text(part.title, weight="Bolder", spacing="Large")
    for line in part.lines[:most]:
        yield from _line(line)
    if part.facts:
        facts = [{"title": _plain(name), "value": _plain(value)} for name, value in part.facts]
        yield {"type": "FactSet", "facts": facts[: max(most, 3)]}
    more = part.more + len(part.lines[most:])
    if more:
        yield _text(f"and {more:,} more", subtle=True)


def _line(line: Line) -> Iterator[dict[str, Any]]:
    yield _text(cut(line.sentence, _SENTENCE), url=line.url, spacing="Medium")
    facts = " · ".join(part for part in (line.holds, line.where, line.note) if part)
    if facts:
        yield _text(facts, weight="Bolder" if line.holds else "Default", spacing="None")
    if line.advice:
        yield _text(line.advice, subtle=True, spacing="None")


def _text(
    text: str,
    *,
    weight: str = "Default",
    size: str = "Default",
    spacing: str = "Default",
    subtle: bool = False,
    url: str = "",
) -> dict[str, Any]:
    # A text run shows its text as it is; a text block would read it as Markdown, and a name with
    # brackets could become a link.
    # https://adaptivecards.io/explorer/TextRun.html
    run: dict[str, Any] = {"type": "TextRun", "text": text, "weight": weight, "size": size}
    if subtle:
        run["isSubtle"] = True
    if url:
        run["selectAction"] = {"type": "Action.OpenUrl", "url": url}
    return {"type": "RichTextBlock", "inlines": [run], "spacing": spacing}


def _plain(text: str) -> str:
    """Facts are read as Markdown: the signs that make links and emphasis are taken literally."""
    for sign in "\\[]*_`":
        text = text.replace(sign, f"\\{sign}")
    return text
