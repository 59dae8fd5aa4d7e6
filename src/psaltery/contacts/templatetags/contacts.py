"""Words of the pairing pages: `{% load contacts %}`."""

from django import template

from psaltery.contacts.queries import WHY

register = template.Library()


@register.filter
def why(word: str) -> str:
    """`{{ "tax"|why }}`: what a contact and a company share, as people say it."""
    return WHY.get(word, word)
