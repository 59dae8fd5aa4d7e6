"""A letter as Slack's blocks. Pure.

https://docs.slack.dev/reference/block-kit/blocks/
"""

from collections.abc import Iterator
from typing import Any

from psaltery.kit.text import cut
from psaltery.notify.letters import Letter, Line, Section

# A message has at most 50 blocks, a section's text 3,000 characters, a header's 150.
_LINES = 8
_TEXT = 2_800
_HEADER = 150


def payload(letter: Letter) -> dict[str, Any]:
    """The body for an incoming webhook; `text` is what notifications and old clients show.

    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
    """
    return {"text": escaped(letter.subject), "blocks": list(_blocks(letter))}


def escaped(text: str) -> str:
    """Text that can't mention anybody or become a link: `&`, `<` and `>` are the only signs.

    https://docs.slack.dev/messaging/formatting-message-text/#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(letter: Letter) -> Iterator[dict[str, Any]]:
    title = letter.subject.removeprefix("Psaltery: ")
    title = title[:1].upper() + title[1:]
    yield {"type": "header", "text": {"type": "plain_text", "text": cut(title, _HEADER)}}
    # The lead says in words what the sections show; beside them it would be read twice.
    if letter.sections:
        for part in letter.sections:
            yield from _section(part)
    else:
        yield _text(escaped(letter.lead))
    if letter.url:
        yield {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": letter.button},
                    "url": letter.url,
                    "style": "primary",
                }
            ],
        }
    yield _small(f"{escaped(letter.why)} <{letter.settings_url}|Change it>")


def _section(part: Section) -> Iterator[dict[str, Any]]:
    yield {"type": "divider"}
    yield _text(f"*{escaped(part.title)}*")
    for line in part.lines[:_LINES]:
        yield _text(_line(line))
    if part.facts:
        facts = "\n".join(f"{escaped(name)}: {escaped(value)}" for name, value in part.facts)
        yield _text(facts)
    more = part.more + len(part.lines[_LINES:])
    if more:
        yield _small(f"<{part.url}|and {more:,} more>")


def _line(line: Line) -> str:
    # The link is the sentence itself: on a phone it is what a thumb finds.
    facts = " · ".join(part for part in (line.holds, line.where, line.note) if part)
    rows = [f"<{line.url}|{escaped(cut(line.sentence, 600))}>"]
    if facts:
        rows.append(f"*{escaped(facts)}*" if line.holds else escaped(facts))
    if line.advice:
        rows.append(escaped(line.advice))
    return "\n".join(rows)


def _text(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, _TEXT)}}


def _small(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": cut(text, _TEXT)}]}
