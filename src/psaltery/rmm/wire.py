"""What senders send: one alert, or a list of them. Pure."""

from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from psaltery.kit.text import clean, cut, single_line

MOST = 500


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. `company`: the PSA's id, identifier or name of the customer."""

    id: str
    title: str
    company: str = ""
    device: str = ""
    severity: Literal["info", "warning", "error", "critical"] = "warning"
    text: str = ""
    url: str = ""
    at: datetime | None = None
    resolved: bool = False


class Many(msgspec.Struct, frozen=True, kw_only=True):
    alerts: list[Told]


class TooMany(ValueError):
    """More than fit in one delivery."""


def read(body: bytes, moment: datetime) -> list[Told]:
    """The alerts of a body, cut to what is kept. Raises MsgspecError, or TooMany."""
    found = _decoded(body)
    if len(found) > MOST:
        raise TooMany(f"At most {MOST} alerts at once.")
    # Without an id it can't be told from the next one; without a title there is nothing to show.
    return [_kept(one, moment) for one in found if one.id.strip() and one.title.strip()]


def _decoded(body: bytes) -> list[Told]:
    # Told apart by their one field: msgspec takes no union of two objects without a tag.
    if b'"alerts"' in body:
        try:
            return msgspec.json.decode(body, type=Many).alerts
        except msgspec.ValidationError:
            return [msgspec.json.decode(body, type=Told)]
    return [msgspec.json.decode(body, type=Told)]


def _kept(one: Told, moment: datetime) -> Told:
    at = one.at or moment
    return Told(
        id=cut(single_line(one.id), 200),
        title=cut(single_line(one.title), 500),
        company=cut(single_line(one.company), 255),
        device=cut(single_line(one.device), 255),
        severity=one.severity,
        text=cut(clean(one.text), 10_000),
        url=one.url if _is_web(one.url) else "",
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        resolved=one.resolved,
    )


def _is_web(url: str) -> bool:
    # It becomes a link on our pages: no javascript:, no other scheme.
    return len(url) <= 2_000 and urlsplit(url).scheme in ("http", "https")
