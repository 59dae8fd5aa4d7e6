"""An answer of an outside system, and how its body becomes typed values."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from psaltery.adapters.errors import Failure, Rejected, TryLater
from psaltery.records.drafts import Problem

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `headers` looks names up whatever their case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    write: bool = False
    operation: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text, whatever bytes it holds."""
        return self.body.decode("utf-8", "replace")

    def decode(self, type_: type[T]) -> T:
        """The JSON body as `type_`; numbers become Decimal straight from their text.

        Raises TryLater when the body is no JSON (cut, HTML; uncertain after a write), and Rejected
        when it is JSON of another shape, because asking again would not change that.
        """
        try:
            decoder: msgspec.json.Decoder[T] = _decoder(type_)
            return decoder.decode(self.body)
        except msgspec.ValidationError as wrong:
            raise self._unexpected_shape(wrong) from wrong
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise unreadable(self) from wrong

    def _unexpected_shape(self, wrong: Exception) -> Failure:
        # The write was carried out, in words we don't know: looked up, never sent again.
        if self.write:
            return unreadable(self)
        sentence = (
            f"The answer to {self.operation} has a shape that Psaltery does not know: {wrong}"
        )
        return Rejected([Problem(code="answer_unknown_shape", message=sentence)])


def unreadable(answer: Answer) -> TryLater:
    """The failure for an answer whose body is not what was due; asking again usually helps."""
    what = "a web page" if looks_like_html(answer) else "an answer that is cut or not JSON"
    return TryLater(
        f"{what.capitalize()} came back for {answer.operation} (status {answer.status}).",
        uncertain=answer.write,
    )


def looks_like_html(answer: Answer) -> bool:
    """True for a web page: a proxy's or maintenance page where data was due."""
    kind = answer.headers.get("content-type", "")
    return "html" in kind.lower() or answer.body[:200].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    )


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}  # making one costs more than a small decode


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    if type_ not in _DECODERS:
        _DECODERS[type_] = msgspec.json.Decoder(type_)
    return _DECODERS[type_]
