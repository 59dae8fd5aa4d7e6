"""The caller against a real server: every way an answer can fail to come, and what it is called."""

import gzip
import socket
import struct
import threading
from datetime import timedelta
from decimal import Decimal

import httpx2
import msgspec
import pytest
from werkzeug.wrappers import Request, Response

from psaltery.adapters.budget import Heard
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import CalledInsideTransaction, Caller, FixedCredential, clock_skew
from psaltery.adapters.sandbox_server import serve
from psaltery.kit.clock import now

TOKEN = "token-abcdefgh-12345"


class Thing(msgspec.Struct):
    amount: Decimal
    name: str = ""


class Exchanges:
    """Keeps what a recorder is told."""

    def __init__(self):
        self.kept = []

    def record(self, exchange):
        self.kept.append(exchange)


class Counting:
    """A budget that counts."""

    def __init__(self):
        self.taken, self.heard = 0, []

    def take(self):
        self.taken += 1

    def learn(self, heard: Heard):
        self.heard.append(heard)


class Server:
    """Answers with the prepared responses, one after the other; the last one stays."""

    def __init__(self):
        self.requests, self.answers = [], []
        self.running = serve(self.app)
        self.url = self.running.url

    def app(self, environ, start):
        request = Request(environ)
        self.requests.append((request.method, request.full_path, dict(request.headers)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(environ, start)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.running.stop()


@pytest.fixture
def recorder():
    return Exchanges()


@pytest.fixture
def budget():
    return Counting()


@pytest.fixture
def caller(server, recorder, budget):
    return make(server.url, recorder, budget)


def make(url, recorder, budget, **changes):
    values = {
        "credential": FixedCredential({"Authorization": f"Bearer {TOKEN}"}),
        "timeouts": httpx2.Timeout(1.0),
        "max_bytes": 1_000_000,
    }
    return Caller(url, budget=budget, recorder=recorder, **(values | changes))


def json(body="{}", status=200, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, headers, content_type="application/json")


def test_an_answer_is_decoded_with_exact_decimals(server, caller, recorder, budget):
    server.answers = [json('{"amount": 0.1000000000000000055, "name": "a", "new": 1}')]
    answer = caller.call("GET", "/things", params={"page": 1}, operation="things.list")
    assert answer.decode(Thing) == Thing(Decimal("0.1000000000000000055"), "a")
    [(method, path, headers)] = server.requests
    assert (method, path) == ("GET", "/things?page=1")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert "gzip" in headers["Accept-Encoding"]
    assert budget.taken == 1
    assert budget.heard[0].status == 200
    [told] = recorder.kept
    assert told.address.endswith("/things?page=1")
    assert told.status == 200


def test_gzip_is_opened_and_counted_open(server, caller, budget):
    body = gzip.compress(b'{"amount": 1, "name": "' + b"x" * 5000 + b'"}')
    server.answers = [json(body, Content_Encoding="gzip")]
    assert len(caller.call("GET", "/things").decode(Thing).name) == 5000
    assert budget.heard[0].bytes_in > 5000


def test_secrets_never_reach_the_record(server, caller, recorder):
    server.answers = [json(f'{{"echo": "{TOKEN}", "access_token": "s3cr3t"}}')]
    caller.call(
        "POST",
        "/token",
        params={"code": "one-time-code"},
        body=b"grant_type=refresh_token&refresh_token=r3fr3sh&client_secret=cl13nt",
        operation="oauth.refresh",
        write=True,
    )
    told = str(recorder.kept)
    for secret in (TOKEN, "s3cr3t", "r3fr3sh", "cl13nt", "one-time-code"):
        assert secret not in told
    assert "grant_type=refresh_token" in told


def test_account_codes_are_no_secrets(server, caller, recorder):
    server.answers = [json('{"Code": "200", "Name": "Sales"}')]
    caller.call("GET", "/accounts", operation="accounts.list")
    assert '"Code": "200"' in recorder.kept[0].response


def test_big_answers_are_cut_in_the_record(server, caller, recorder):
    server.answers = [json('{"amount": 1, "name": "' + "x" * 100_000 + '"}')]
    caller.call("GET", "/things")
    assert len(recorder.kept[0].response) < 5000
    assert "100,025 bytes in all" in recorder.kept[0].response


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html><body>Maintenance</body></html>", 200, content_type="text/html"),
        Response("<!DOCTYPE html><p>hello", 200, content_type="application/json"),
        json('{"amount": 1, "na'),
        json(""),
        json(b'{"name": "\xff\xfe"}'),
    ],
)
def test_what_is_no_json_is_tried_later_and_uncertain_after_a_write(server, caller, answer):
    server.answers = [answer]
    with pytest.raises(TryLater) as read:
        caller.call("GET", "/things").decode(Thing)
    assert not read.value.uncertain
    with pytest.raises(TryLater) as write:
        caller.call("PUT", "/things", body=b"{}", write=True).decode(Thing)
    assert write.value.uncertain


def test_json_of_another_shape_needs_a_person(server, caller):
    server.answers = [json('{"name": "no amount"}')]
    with pytest.raises(Rejected, match="amount"):
        caller.call("GET", "/things").decode(Thing)
    with pytest.raises(TryLater) as write:
        caller.call("PUT", "/things", write=True).decode(Thing)
    assert write.value.uncertain


def test_reads_are_repeated_after_trouble_and_writes_are_not(server, caller):
    server.answers = [json(status=503), json(status=500), json('{"amount": 1}')]
    assert caller.call("GET", "/things").decode(Thing).amount == 1
    assert len(server.requests) == 3
    server.answers = [json(status=500)]
    with pytest.raises(TryLater) as write:
        caller.call("PUT", "/things", write=True)
    assert write.value.uncertain
    assert len(server.requests) == 4


def test_a_minute_limit_says_when(server, caller, budget):
    server.answers = [json(status=429, Retry_After="30", X_Rate_Limit_Problem="Minute")]
    with pytest.raises(TryLater) as failure:
        caller.call("PUT", "/things", write=True)
    assert failure.value.limit == "minute"
    assert not failure.value.uncertain
    assert timedelta(seconds=25) < failure.value.at - now() < timedelta(seconds=31)
    assert budget.heard[0].blocked_why == "minute"
    assert len(server.requests) == 1


def test_retry_after_may_be_a_date(server, caller):
    when = (now() + timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server.answers = [json(status=429, Retry_After=when, X_Rate_Limit_Problem="day")]
    with pytest.raises(TryLater) as failure:
        caller.call("GET", "/things")
    assert failure.value.limit == "day"
    assert failure.value.at - now() > timedelta(minutes=119)


def test_too_many_at_once_is_tried_again_in_place_even_for_a_write(server, caller):
    server.answers = [json(status=429, X_Rate_Limit_Problem="concurrent"), json('{"amount": 1}')]
    assert caller.call("PUT", "/things", write=True).ok
    assert len(server.requests) == 2


def test_answers_too_large_are_cut_off(server, caller):
    server.answers = [json("x" * 3_000_000)]
    with pytest.raises(TryLater, match="larger than") as failure:
        caller.call("GET", "/things")
    assert failure.value.limit == "size"


def test_slow_answers_are_given_up(server, recorder, budget):
    waiting = threading.Event()

    def slow(environ, start):
        waiting.wait(5)
        return json()(environ, start)

    server.answers = [slow]
    caller = make(server.url, recorder, budget, timeouts=httpx2.Timeout(0.3))
    with pytest.raises(TryLater, match="too long") as failure:
        caller.call("PUT", "/things", write=True)
    waiting.set()
    assert failure.value.uncertain
    assert recorder.kept[0].status == 0
    assert budget.heard[0].status == 0


def test_a_connection_that_drops_after_sending_is_uncertain_for_a_write(recorder, budget):
    with raw_server() as url:
        caller = make(url, recorder, budget)
        with pytest.raises(TryLater) as write:
            caller.call("PUT", "/things", body=b"{}", write=True)
        assert write.value.uncertain
        with pytest.raises(TryLater) as read:
            caller.call("GET", "/things")
        assert not read.value.uncertain
    assert budget.taken == 4  # the write once, the read three times


def test_a_body_that_is_cut_in_the_middle(recorder, budget):
    with raw_server(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"amount":') as url:
        caller = make(url, recorder, budget, timeouts=httpx2.Timeout(0.2))
        with pytest.raises(TryLater) as write:
            caller.call("PUT", "/things", body=b"{}", write=True)
    assert write.value.uncertain


def test_a_server_that_is_not_there_is_not_uncertain(recorder, budget):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TryLater, match="can't be reached") as failure:
        make(f"http://127.0.0.1:{port}", recorder, budget).call("PUT", "/x", write=True)
    assert not failure.value.uncertain


def test_a_bad_address_and_a_redirect_name_the_setting(server, caller, recorder, budget):
    with pytest.raises(BadSettings, match="address"):
        make("ftp://127.0.0.1", recorder, budget).call("GET", "/x")
    server.answers = [Response("", 302, {"Location": "https://elsewhere.example/"})]
    with pytest.raises(BadSettings, match="elsewhere"):
        caller.call("GET", "/x")


class Renewing:
    """A credential that can be renewed once."""

    def __init__(self, good="good-token-2"):
        self.token, self.good, self.refreshed = "aged-token-1", good, 0

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def refresh(self, refused):
        assert refused == self.headers()
        self.refreshed += 1
        self.token = self.good
        return True


def test_an_aged_token_is_renewed_once_and_the_call_repeated(server, recorder, budget):
    credential = Renewing()
    server.answers = [json(status=401), json('{"amount": 1}')]
    caller = make(server.url, recorder, budget, credential=credential)
    assert caller.call("PUT", "/things", write=True).ok
    assert credential.refreshed == 1
    assert server.requests[1][2]["Authorization"] == "Bearer good-token-2"
    server.answers = [json(status=401)]
    with pytest.raises(NeedsReconnect):
        caller.call("GET", "/things")
    assert credential.refreshed == 2


def test_a_missing_scope_is_not_renewed(server, recorder, budget):
    credential = Renewing()
    server.answers = [json(status=401)]
    caller = make(
        server.url,
        recorder,
        budget,
        credential=credential,
        classify=lambda answer: NeedsReconnect("scope", code="scope_missing"),
    )
    with pytest.raises(NeedsReconnect, match="scope"):
        caller.call("GET", "/things")
    assert credential.refreshed == 0


def test_a_call_inside_a_transaction_is_a_bug(server, recorder, budget):
    caller = make(server.url, recorder, budget, inside_transaction=lambda: True)
    with pytest.raises(CalledInsideTransaction):
        caller.call("GET", "/things")
    assert server.requests == []


def test_a_clock_that_is_off_is_noticed(recorder, budget):
    past = (now() - timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answer = f"HTTP/1.1 200 OK\r\nDate: {past}\r\nContent-Length: 0\r\n\r\n"
    with raw_server(answer.encode()) as url:
        make(url, recorder, budget).call("GET", "/things")
    assert clock_skew(url).total_seconds() == pytest.approx(600, abs=30)


def test_connections_are_kept(server, caller):
    server.answers = [json()]
    for _ in range(3):
        caller.call("GET", "/things")
    assert len(server.running._server._open) == 1


class raw_server:
    """Reads a request, sends some bytes, then resets the connection."""

    def __init__(self, answer=b""):
        self.answer = answer

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.run, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.recv(65536)
            if self.answer:
                connection.sendall(self.answer)
                continue
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.close()

    def __exit__(self, *_):
        self.socket.close()
