"""The page on which a person allows an app to reach organisations."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox.state import Client

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;background:#eef2f5;color:#1c2b39;margin:0}"
    "main{max-width:32rem;margin:3rem auto;background:#fff;padding:2rem;border-radius:8px;"
    "box-shadow:0 1px 4px #0002}label{display:block;padding:.3rem 0}"
    "button{font:inherit;padding:.6rem 1.4rem;border-radius:4px;border:1px solid #0078c8;"
    "background:#fff;color:#0078c8;margin-right:.5rem}button.allow{background:#0078c8;color:#fff}"
    "li{font-family:ui-monospace,monospace;font-size:.85rem}.note{color:#5a6b7b;font-size:.85rem}"
)


def page(
    client: Client,
    scopes: list[str],
    tenants: list[Document],
    users: list[Document],
    several: bool,
    asked: Mapping[str, str],
) -> str:
    """The consent page: the app, its scopes, the organisations, Allow and Cancel."""
    # The form repeats what the app asked, so that the decision is about the same request.
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in asked.items()
    )
    scope_list = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    return _document(
        f"Allow {escape(client.name)}",
        f"<h1>{escape(client.name)} wants access to</h1><ul>{scope_list}</ul>"
        f'<form method="post">{hidden}<fieldset><legend>Signed in as</legend>{_users(users)}'
        f"</fieldset><fieldset><legend>Organisations</legend>{_tenants(tenants, several)}"
        f'</fieldset><p><button class="allow" name="decision" value="allow">Allow access</button>'
        f'<button name="decision" value="cancel">Cancel</button></p></form>',
    )


def error_page(error: str, description: str) -> str:
    """What a person sees when the app's request itself is wrong."""
    return _document(
        "Sorry, something went wrong",
        f"<h1>Sorry, something went wrong</h1><p>Error: {escape(error)}</p>"
        f"<p>{escape(description)}</p>",
    )


def _document(title: str, body: str) -> str:
    note = '<p class="note">This is a sandbox. It is not Xero, and no real data is behind it.</p>'
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{body}{note}</main></body></html>"
    )


def _users(users: list[Document]) -> str:
    options = "".join(
        f'<option value="{escape(user["id"])}">{escape(user["first"])} {escape(user["last"])} '
        f"({escape(user['email'])})</option>"
        for user in users
    )
    return f'<select name="sandbox_user" aria-label="User">{options}</select>'


def _tenants(tenants: list[Document], several: bool) -> str:
    # Without bulk connections a consent is for one organisation.
    kind = "checkbox" if several else "radio"
    return "".join(
        f'<label><input type="{kind}" name="tenant" value="{escape(tenant["tenantId"])}"'
        f"{' checked' if position == 0 else ''}> {escape(tenant['tenantName'])}"
        f"{' (practice)' if tenant['tenantType'] != 'ORGANISATION' else ''}</label>"
        for position, tenant in enumerate(tenants)
    )
