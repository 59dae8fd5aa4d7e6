"""The short way in for deliveries: past sessions, sign-in and CSRF, which they have no use for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

from psaltery.inbound import api

Answer = Callable[[HttpRequest], HttpResponseBase]
PATHS = ("/api/webhooks/", "/api/callbacks/")
# Looking an address up costs more than checking a signature.
XERO = "/api/webhooks/xero"


def deliveries_first(get_response: Answer) -> Answer:
    """Answer deliveries at once; everything else goes through the middleware below."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PATHS):
            return get_response(request)
        if request.path_info == XERO:
            return api.xero(request)
        found = resolve(request.path_info)
        answered: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
        return answered

    return answer
