"""`psaltery web` as a browser, a proxy and an attacker meet it."""

import signal
import socket
import time
from http.client import HTTPConnection, HTTPResponse

import pytest


@pytest.fixture
def serve(psaltery_process):
    """Starts the web server with the given settings; gives a function that asks it."""

    def start(**variables: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = psaltery_process("web", PSALTERY_PORT=str(port), **variables)

        def ask(path: str, **headers: str) -> HTTPResponse:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers={"Host": "localhost", **named})
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer

        deadline = time.monotonic() + 30
        while True:
            try:
                assert ask("/readyz").status == 200
                return process, ask
            except ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    return start


def test_pages_say_what_browsers_may_do(serve):
    _, ask = serve()
    answer = ask("/accounts/login/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in answer.headers


def test_another_hosts_name_is_refused(serve):
    _, ask = serve()
    assert ask("/accounts/login/", Host="evil.example.com").status == 400


def test_style_sheets_are_served(serve):
    _, ask = serve()
    answer = ask("/static/psaltery/psaltery.css")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/css")


def test_forwarded_headers_are_believed_from_a_trusted_proxy_alone(serve):
    forwarded = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "203.0.113.9"}
    address = {"PSALTERY_PUBLIC_URL": "https://localhost"}
    _, ask = serve(**address)
    assert "Strict-Transport-Security" not in ask("/accounts/login/", **forwarded).headers
    _, ask = serve(**address, PSALTERY_TRUSTED_PROXIES="127.0.0.0/8")
    assert "Strict-Transport-Security" in ask("/accounts/login/", **forwarded).headers


@pytest.mark.crash
def test_it_stops_at_once_though_a_browser_keeps_its_connection(serve):
    process, ask = serve()
    ask("/healthz")
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(timeout=15) == 0
    assert time.monotonic() - began < 5
