"""The shell in a real browser: set-up, sign-in, theme, phone menu, lists, and no word of CSP."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from psaltery.accounts import service
from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.kit.clock import now
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]

PASSWORD = "a long enough secret"


@pytest.fixture
def ada(transactional_db) -> Person:
    return service.add_person("ada@example.com", "Ada Admin", Role.ADMIN, password=PASSWORD)


def sign_in(page: Page, url: str, password: str = PASSWORD) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def background(page: Page) -> str:
    return page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")


def test_first_run_from_nothing_to_the_dashboard(page, live_app, console):
    page.goto(live_app.url)
    expect(page.get_by_role("heading", name="Set up Psaltery")).to_be_visible()
    # The browser of the test is in Sydney.
    expect(page.get_by_label("Time zone")).to_have_value("Australia/Sydney")
    page.get_by_label("Name of your company").fill("Harbourline IT")
    page.get_by_label("Your name").fill("Ada Admin")
    page.get_by_label("Your e-mail address").fill("ada@example.com")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create the administrator").click()
    expect(page.get_by_text("at least 10 characters")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the administrator").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(page.get_by_text("Nothing is connected yet")).to_be_visible()
    expect(page.locator(".sidebar-brand")).to_contain_text("Harbourline IT")
    assert console == []


def test_wrong_password_then_the_right_one_then_out(page, live_app, console, ada):
    sign_in(page, live_app.url, "not the password")
    expect(page.get_by_role("alert").filter(has_text="not correct")).to_be_visible()
    sign_in(page, live_app.url)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.get_by_role("button", name="Ada Admin").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(live_app.url)
    expect(page).to_have_url(f"{live_app.url}/accounts/login/?next=/")
    assert console == []


def test_theme_changes_at_once_and_is_remembered(page, live_app, console, ada):
    page.emulate_media(color_scheme="light")
    sign_in(page, live_app.url)
    light = background(page)
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Dark theme").click()
    assert background(page) != light
    ada.refresh_from_db()
    assert ada.theme == "dark"
    page.goto(f"{live_app.url}/profile/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Same theme as my device").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert console == []


def test_menu_is_folded_on_a_phone_and_opens(page, live_app, console, ada):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, live_app.url)
    settings = page.get_by_role("link", name="Settings")
    expect(settings).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    settings.click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_role("link", name="Dashboard")).to_be_hidden()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    assert console == []


def test_list_searches_while_typing_and_keeps_it_in_the_address(page, live_app, console, ada):
    service.add_person("ben@example.com", "Ben Bookkeeper", Role.BOOKKEEPER)
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/settings/people/")
    page.keyboard.press("/")
    page.keyboard.type("bookk")
    expect(page.get_by_role("link", name="Ada Admin")).to_be_hidden()
    expect(page.get_by_role("link", name="Ben Bookkeeper")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query) == {"q": ["bookk"]}
    page.get_by_label("Role").select_option("viewer")
    expect(page.get_by_text("No people match")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No people match")).to_be_visible()
    page.get_by_role("link", name="Clear search and filters").click()
    expect(page.get_by_role("link", name="Ada Admin")).to_be_visible()
    assert console == []


def test_dashboard_draws_its_chart_and_renews_itself(page, live_app, console, ada):
    books = Connection.objects.create(kind="xero", name="Books", state="connected")
    office = Organisation.objects.create(
        connection=books, external_id="1", name="Adelaide", chosen=True
    )
    Budget.objects.create(
        organisation=office, per_minute=30, day=now().date(), day_used=700, day_cap=5000
    )
    feed = Feed.objects.create(
        organisation=office, name="invoices", state="running", seconds=60, done=10, total=90
    )
    sign_in(page, live_app.url)
    expect(page.get_by_text("10 / 90 · running")).to_be_visible()
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    Feed.objects.filter(pk=feed.pk).update(done=55)
    # Renewed every five seconds, on a machine that may be busy.
    expect(page.get_by_text("55 / 90 · running")).to_be_visible(timeout=20_000)
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    assert console == []


def test_a_question_says_what_it_will_do_and_can_be_left(page, live_app, console, ada):
    token, _ = service.issue_token(ada, "Power BI", [service.Scope.READ])
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/settings/tokens/{token.pk}/")
    page.get_by_role("button", name="Revoke…").click()
    expect(page.get_by_role("dialog", name="Revoke this token?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    token.refresh_from_db()
    assert token.revoked_at is None
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_role("button", name="Revoke 1 token").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert console == []


def test_server_out_of_reach_is_said(page, live_app, console, ada):
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/settings/people/")
    page.route("**/settings/people/**", lambda route: route.abort())
    page.get_by_label("Search people").fill("ada")
    expect(page.locator("#trouble")).to_contain_text("can't be reached")


def test_everything_is_reached_by_keyboard(page, live_app, console, ada):
    sign_in(page, live_app.url)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    assert console == []


def test_authenticator_app_from_turning_on_to_signing_in(page, live_app, console, ada):
    from allauth.mfa.totp.internal.auth import (
        format_hotp_value,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    def code(secret: str) -> str:
        return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))

    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/accounts/2fa/")
    page.get_by_role("link", name="Turn on").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    secret = page.get_by_label("Authenticator secret").input_value()
    page.get_by_label("Authenticator code").fill(code(secret))
    # Going on at once would cut the request off.
    with page.expect_navigation():
        page.get_by_role("button", name="Activate").click()
    page.goto(f"{live_app.url}/accounts/2fa/")
    expect(page.get_by_text("10 left")).to_be_visible()
    page.context.clear_cookies()
    sign_in(page, live_app.url)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign In", exact=True).click()
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    assert console == []


def test_passkey_from_adding_to_signing_in_without_a_password(page, live_app, console, ada):
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/accounts/2fa/")
    page.get_by_role("link", name="Add one").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Security key added.")).to_be_visible()
    page.goto(f"{live_app.url}/accounts/2fa/webauthn/")
    expect(page.get_by_text("Laptop")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{live_app.url}/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    assert console == []


def test_filters_are_folded_on_a_phone(page, live_app, console, ada):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, live_app.url)
    page.goto(f"{live_app.url}/settings/people/")
    role = page.get_by_label("Role", exact=True)
    expect(role).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    role.select_option("viewer")
    expect(page.get_by_text("No people match")).to_be_visible()
    page.reload()
    expect(role).to_be_visible()
    assert console == []
