"""The consent page of the sandbox of Xero, as a person uses it."""

from playwright.sync_api import Page, expect


def allow_access(page: Page) -> None:
    """Tick every permission and every organisation, and consent."""
    allow = page.get_by_role("button", name="Allow access")
    # The list of boxes does not wait for the page to come.
    expect(allow).to_be_visible()
    for box in page.get_by_role("checkbox").all():
        box.check()
    allow.click()
