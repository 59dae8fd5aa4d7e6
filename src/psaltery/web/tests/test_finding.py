"""Search over everything: by keyboard in the browser, and without script."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from psaltery.accounts import service as accounts
from psaltery.accounts.models import Person, Role
from psaltery.mapping.models import ContactLink
from psaltery.portfolio.service import refresh
from psaltery.posting.models import Link
from psaltery.web import assets

PASSWORD = "a long enough secret"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def posted(rig):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]
    rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=lines)
    rig.sync()
    rig.sync()
    refresh()
    return Link.objects.select_related("document").get()


@pytest.mark.journey
@pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup")
def test_to_a_customer_and_a_page_without_the_mouse(posted, page, live_app, console):
    accounts.add_person("ada@example.com", "Ada", Role.BOOKKEEPER, password=PASSWORD)
    page.goto(f"{live_app.url}/accounts/login/")
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.keyboard.press("Control+k")
    finder = page.get_by_role("dialog", name="Search everything")
    expect(finder.get_by_role("link", name="Tie-out")).to_be_visible()
    name = ContactLink.objects.get().company.name
    page.keyboard.type(name[:6])
    hit = finder.get_by_role("link", name=f"{name} 220.00 AUD outstanding")
    expect(hit).to_be_visible()
    expect(finder.get_by_role("link", name=posted.number)).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(hit).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("audit")
    expect(finder.get_by_role("link")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz")
    expect(finder.get_by_text("Nothing is found for “zzzz”.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(finder).to_be_hidden()
    assert console == []


def test_without_script_it_is_a_page(posted, client, django_assert_max_num_queries):
    assert client.get(reverse("web:find")).status_code == 302
    viewer = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(viewer, backend=BACKEND)
    with django_assert_max_num_queries(40):
        page = client.get(reverse("web:find"), {"q": posted.number}).content.decode()
    assert reverse("posting:document", args=[posted.document_id]) in page
    assert "Invoices in the books" in page
    # A viewer is not offered what only an administrator may open.
    assert "Settings" not in client.get(reverse("web:find"), {"q": "sett"}).content.decode()
    odd = client.get(reverse("web:find"), {"q": "100%_\x00<b>"})
    assert "<b>" not in odd.content.decode().split("Nothing is found")[-1][:40]
