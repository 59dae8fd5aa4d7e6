"""Text as it comes from outside, made fit for the database, and names made comparable."""

import re
import unicodedata

# PostgreSQL refuses NUL in text; XML and accounting systems refuse most other control characters.
# Tab, line feed and carriage return stay.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_BLANKS = re.compile(r"\s+")
_NOT_A_WORD = re.compile(r"[^\w&]+")

# What companies put behind their name; left out when names are compared, never when shown.
_LEGAL_FORMS = frozenset(
    re.findall(
        r"\w+",
        "pty proprietary ltd limited inc incorporated llc llp lp plc corp corporation co company "
        "gmbh ag kg ohg ug sa sas sarl srl spa bv nv ab as oy aps nl pl tbt trust",
    )
)


def clean(text: str) -> str:
    """`text` without NUL, other control characters and lone surrogates; emoji stay."""
    return _CONTROL.sub("", text)


def single_line(text: str) -> str:
    """`text` cleaned, every run of blanks one blank, none at the ends."""
    return _BLANKS.sub(" ", clean(text)).strip()


def cut(text: str, length: int) -> str:
    """At most `length` characters of `text`; an ellipsis shows that something was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def comparable_name(name: str) -> str:
    """A company's name for comparing: no case, accents, punctuation, blanks, legal form.

    "The Bénard Co. Pty Ltd " and "benard" are the same; a name of legal forms alone is kept.
    """
    plain = unicodedata.normalize("NFKD", single_line(name)).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = _NOT_A_WORD.sub(" ", plain.replace("'", "").replace("’", "").replace(".", "")).split()
    return " ".join(_without_legal_forms(words) or words)


def _without_legal_forms(words: list[str]) -> list[str]:
    last = len(words)
    while last and words[last - 1] in _LEGAL_FORMS:
        last -= 1
    first = 1 if last > 1 and words[0] == "the" else 0
    return words[first:last]
