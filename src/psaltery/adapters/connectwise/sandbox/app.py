"""The emulated site: routing, sign-in, and errors in ConnectWise's shape."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from functools import cache
from typing import Any

import msgspec
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from psaltery.adapters.connectwise.sandbox import accounting, crud
from psaltery.adapters.connectwise.sandbox.access import VERBS, Access, permit
from psaltery.adapters.connectwise.sandbox.endpoints import (
    ENDPOINTS,
    Call,
    Endpoint,
    shown_invoice,
)
from psaltery.adapters.connectwise.sandbox.errors import ApiError
from psaltery.adapters.connectwise.sandbox.resources import RESOURCES, Resource
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document, json_response

# The router to whatever version is installed; on-premises sites know only this one.
ROUTER_CODEBASE = "v4_6_release"
# https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide
_API = re.compile(r"^/(?P<codebase>[^/]+)/apis/3\.0(?P<path>/.*)$")


@dataclass(frozen=True)
class _Route:
    """What answers one address and method, and the permission it takes."""

    module: str
    verb: str
    handle: Callable[[Call], Response]


class Site:
    """One ConnectWise site as a function from request to answer."""

    def __init__(self, world: World, access: Access, company_id: str, codebase: str) -> None:
        self._world = world
        self._access = access
        self._company_id = company_id
        self._codebase = codebase
        self._map = _addresses()

    def answer(self, request: Request) -> Response:
        """The answer to any address of the site; errors are answers, too."""
        try:
            response = self._route(request)
        except ApiError as error:
            response = error_response(error)
        except msgspec.DecodeError as error:
            response = error_response(
                ApiError(400, "InvalidRequest", f"The body is not JSON: {error}")
            )
        # The server writes the true time by itself.
        if self._world.clock.offset:
            response.headers["Date"] = format_datetime(self._world.now(), usegmt=True)
        return response

    def _route(self, request: Request) -> Response:
        if request.path.startswith("/login/companyinfo/"):
            return self._company_info(request.path.rsplit("/", 1)[1])
        match = _API.match(request.path)
        if match is None or match["codebase"] not in (self._codebase, ROUTER_CODEBASE):
            raise ApiError(404, "NotFound", "The requested resource could not be found.")
        # Who calls is checked before what: bad keys learn nothing about addresses.
        key = self._access.member(request, self._world.behaviour)
        self._access.count(key, self._world.behaviour.requests_per_minute)
        route, numbers = self._find(match["path"], request.method)
        if route.module:
            permit(self._world, key, route.module, route.verb)
        # One request at a time: what it writes is seen whole, and reaches the file whole.
        with self._world.store.transaction():
            return route.handle(Call(self._world, request, key.member, **numbers))

    def _find(self, path: str, method: str) -> tuple[_Route, dict[str, int]]:
        try:
            route, numbers = self._map.bind("").match(path, method)
        except MethodNotAllowed as error:
            message = f"The resource does not support {method}."
            raise ApiError(405, "MethodNotAllowed", message) from error
        except NotFound as error:
            message = "The requested resource could not be found."
            raise ApiError(404, "NotFound", message) from error
        return route, dict(numbers)

    def _company_info(self, company_id: str) -> Response:
        """`GET /login/companyinfo/{companyId}`; `null` for a company that is not here."""
        # 200 and `null`, no 404: a mistyped company looks like an answer.
        if company_id.lower() != self._company_id.lower():
            return json_response(None)
        return json_response(
            {
                "CompanyName": self._company_id,
                "Codebase": f"{self._codebase}/",
                "VersionCode": self._codebase,
                "VersionNumber": "v2025.1.99999",
                "CompanyID": self._company_id,
                "IsCloud": True,
                "SiteUrl": "",
            }
        )


def error_response(error: ApiError) -> Response:
    """An error as the site answers it."""
    body: Document = error.wire()
    # The gateway in front of the API answers this one, in a shape of its own.
    if error.status == 429:
        body = {"error": error.code, "message": error.message}
    response = json_response(body, error.status)
    response.headers.extend(error.headers)
    return response


# The same for every site, and slow to compile.
@cache
def _addresses() -> Map:
    return Map(list(_rules()), strict_slashes=False)


def _rules() -> Any:
    for endpoint in ENDPOINTS:
        yield _rule(endpoint.path, endpoint.method, _of_endpoint(endpoint))
    for resource in RESOURCES:
        yield from _resource_rules(resource)


def _rule(path: str, method: str, route: _Route) -> Rule:
    address = path.replace("{parent}", "<int:parent>").replace("{record}", "<int:record>")
    return Rule(address, methods=[method], endpoint=route)


def _of_endpoint(endpoint: Endpoint) -> _Route:
    return _Route(endpoint.module, endpoint.verb, endpoint.handle)


def _resource_rules(resource: Resource) -> Any:
    def route(method: str, handle: Callable[[Resource, Call], Response]) -> _Route:
        return _Route(resource.module, VERBS[method], lambda call: handle(resource, call))

    yield _rule(resource.path, "GET", route("GET", _list))
    yield _rule(f"{resource.path}/count", "GET", route("GET", _count))
    yield _rule(f"{resource.path}/{{record}}", "GET", route("GET", _one))
    if "POST" in resource.methods:
        yield _rule(resource.path, "POST", route("POST", _create))
    for method, handle in (("PUT", _replace), ("PATCH", _patch), ("DELETE", _delete)):
        if method in resource.methods:
            yield _rule(f"{resource.path}/{{record}}", method, route(method, handle))


def _query(call: Call) -> dict[str, str]:
    return call.request.args.to_dict()


def _list(resource: Resource, call: Call) -> Response:
    forward_only = call.request.headers.get("pagination-type", "").lower() == "forward-only"
    address = call.request.base_url
    page = crud.page(
        call.world, resource, call.parent, _query(call), address, forward_only=forward_only
    )
    found = page.rows[:-1] if call.lacks_rows else page.rows
    response = json_response([_shown(resource, call, row) for row in found])
    if page.link:
        response.headers["Link"] = page.link
    return response


def _count(resource: Resource, call: Call) -> Response:
    return json_response({"count": crud.count(call.world, resource, call.parent, _query(call))})


def _one(resource: Resource, call: Call) -> Response:
    row = crud.one(call.world, resource, call.parent, call.record, _query(call))
    return json_response(_shown(resource, call, row))


def _create(resource: Resource, call: Call) -> Response:
    row = crud.create(call.world, resource, call.parent, call.body, call.member)
    return json_response(_shown(resource, call, row), 201)


def _replace(resource: Resource, call: Call) -> Response:
    row = crud.replace(call.world, resource, call.parent, call.record, call.body, call.member)
    return json_response(_shown(resource, call, row))


def _patch(resource: Resource, call: Call) -> Response:
    row = crud.patch(call.world, resource, call.parent, call.record, call.body, call.member)
    return json_response(_shown(resource, call, row))


def _delete(resource: Resource, call: Call) -> Response:
    if resource.collection == "batches":
        accounting.leave_batch(call.world, {"id": call.record}, call.member)
    crud.delete(call.world, resource, call.parent, call.record, call.member)
    return Response(status=204)


def _shown(resource: Resource, call: Call, row: Document) -> Document:
    whole = resource.collection == "invoices" and "total" in row and "type" in row
    return shown_invoice(call.world, row) if whole else row
