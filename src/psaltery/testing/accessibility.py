"""Every page of the product as axe-core sees it: https://github.com/dequelabs/axe-core.

The pages are found as a person finds them, link by link, so that none is forgotten in a list.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Page, ViewportSize, expect

from psaltery.web import assets

AXE = assets.MODULES / "axe-core" / "axe.min.js"

# WCAG 2.1 A and AA, and what axe-core knows beyond them: order of headings, landmarks, tables.
EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)

_LOOK = """async rules => {
    const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
    const told = node => node.html.slice(0, 200) + " | " + node.failureSummary.split("\\n")[1];
    return found.violations.flatMap(one => one.nodes.map(node => one.id + ": " + told(node)));
}"""
# A question is in the page before it is asked; some lists have one in each row.
_ASK = """async rules => {
    const found = [];
    for (const dialog of [...document.querySelectorAll("dialog:not([open])")].slice(0, 4)) {
        dialog.showModal();
        const answer = await axe.run(dialog, {runOnly: rules, resultTypes: ["violations"]});
        dialog.close();
        const told = node => node.html.slice(0, 200) + " | " + node.failureSummary.split("\\n")[1];
        found.push(...answer.violations.flatMap(
            one => one.nodes.map(node => one.id + " in a dialog: " + told(node))));
    }
    return found;
}"""
_LINKS = """links => links.filter(link => !link.hasAttribute("download"))
    .map(link => link.getAttribute("href"))"""


@dataclass(frozen=True)
class View:
    """How somebody looks at a page."""

    theme: Literal["light", "dark"]
    size: ViewportSize
    rules: list[str]


# A theme changes colours alone; what has a name in the light has one in the dark.
VIEWS = {
    "desktop, light": View("light", DESKTOP, EVERYTHING),
    "desktop, dark": View("dark", DESKTOP, ["color-contrast"]),
    "phone, dark": View("dark", PHONE, ["color-contrast"]),
    "phone, light": View("light", PHONE, EVERYTHING),
}


def prepare(page: Page) -> None:
    """Brings axe-core into whatever the page shows from now on."""
    page.add_init_script(path=AXE)


def findings(page: Page) -> list[str]:
    """What is wrong with the page that is shown: the view, the rule, the element, and why."""
    found = []
    for name, view in VIEWS.items():
        page.set_viewport_size(view.size)
        # Without motion, or colours would be measured half-way.
        page.emulate_media(color_scheme=view.theme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", view.theme)
        seen = page.evaluate(_LOOK, view.rules)
        if view.size == DESKTOP:
            seen += page.evaluate(_ASK, view.rules)
        found += [f"{name}: {one}" for one in seen]
        if name == "phone, light" and not _fits(page):
            found.append(f"{name}: the page is wider than the screen")
    return found


def _fits(page: Page) -> bool:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= PHONE["width"]


def addresses(page: Page) -> list[str]:
    """Where the links of the page lead within the product."""
    hrefs = page.locator("a[href]").evaluate_all(_LINKS)
    return [href for href in hrefs if href.startswith("/") and not urlsplit(href).netloc]


class Walk:
    """A walk over all links; `of_each` pages of a route are enough."""

    def __init__(self, page: Page, url: str, of_each: int = 1) -> None:
        self.page, self.url, self.of_each = page, url, of_each
        self.visited: Counter[str] = Counter()
        self.broken: list[str] = []

    def pages(self, *beginnings: str) -> Iterator[str]:
        """Goes to page after page; gives the address of each while it is shown."""
        waiting, known = deque(beginnings), set(beginnings)
        while waiting:
            address = waiting.popleft()
            if not self._goes_to(address):
                continue
            yield address
            for found in addresses(self.page):
                if found not in known:
                    known.add(found)
                    waiting.append(found)

    def _goes_to(self, address: str) -> bool:
        route = route_of(address)
        if route is None:
            self.broken.append(address)
        elif self.visited[route] < self.of_each:
            self.visited[route] += 1
            answer = self.page.goto(self.url + address)
            if answer is None or not answer.ok:
                self.broken.append(address)
                return False
            # Parts of some pages come after them.
            expect(self.page.locator(".htmx-request, [hx-trigger^=load]")).to_have_count(0)
            return True
        return False


def route_of(address: str) -> str | None:
    """The route that answers an address; None for none."""
    try:
        return str(resolve(urlsplit(address).path).route)
    except Resolver404:
        return None


def routes() -> list[str]:
    """Every route of the product."""
    return list(_routes(get_resolver(), ""))


def _routes(resolver: URLResolver, before: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from _routes(pattern, route)
