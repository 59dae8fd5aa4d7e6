"""Loaded by Python at start: requests for Xero's hosts go to the sandbox's address instead."""

import os

import requests

_send = requests.Session.send


def _redirected(self, request, **options):
    for host in ("https://identity.xero.com", "https://api.xero.com"):
        if request.url.startswith(host):
            request.url = os.environ["XERO_SANDBOX"] + request.url[len(host) :]
    return _send(self, request, **options)


requests.Session.send = _redirected
