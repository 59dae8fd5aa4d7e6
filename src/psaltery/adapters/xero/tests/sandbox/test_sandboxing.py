"""The kit of all sandboxes: state that survives, faults that are real, a log of what came in."""

from decimal import Decimal

import httpx2 as httpx
import pytest
from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Controlled, Store, json_response, serve


def handler(store):
    def handle(request: Request) -> Response:
        if request.method == "PUT":
            number = store.next_id("notes")
            store.put("notes", str(number), {"id": number, "text": request.get_data(as_text=True)})
        return json_response({"notes": store.all("notes"), "padding": "x" * 4000})

    return handle


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def server(store):
    running = serve(Controlled(handler(store), store, tenant_header="X-Tenant"))
    yield running
    running.stop()


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def fault(client, **rule):
    assert client.post("/_control/faults", json=rule).status_code == 201


def test_documents_and_numbers_survive_a_restart(tmp_path):
    path = tmp_path / "state.db"
    store = Store(path)
    store.put("a", "1", {"id": "1", "total": Decimal("10.50"), "count": 3})
    store.put("a", "2", {"id": "2"})
    store.put("a", "1", {"id": "1", "total": Decimal("11.10")})
    store.delete("a", "2")
    assert store.next_id("a") == 1
    # Not closed: a killed process does not close either.
    again = Store(path)
    assert again.all("a") == [{"id": "1", "total": Decimal("11.10")}]
    assert isinstance(again.all("a")[0]["total"], Decimal)
    assert again.next_id("a") == 2


def test_one_connection_serves_many_requests(server, client):
    ports = set()
    for _ in range(3):
        response = client.get("/notes")
        ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


def test_answers_are_compressed_only_for_those_who_ask(client):
    plain = client.get("/notes", headers={"Accept-Encoding": "identity"})
    packed = client.get("/notes", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json() == plain.json()


def test_a_status_fault_is_played_as_often_as_told(client):
    fault(client, kind="status", status=503, body="offline", headers={"Retry-After": "7"}, times=2)
    first = client.get("/notes")
    assert (first.status_code, first.text, first.headers["Retry-After"]) == (503, "offline", "7")
    assert client.get("/notes").status_code == 503
    assert client.get("/notes").status_code == 200
    assert client.get("/_control/faults").json()[0]["applied"] == 2


def test_after_lets_requests_pass_first(client):
    fault(client, kind="status", status=500, after=2)
    assert [client.get("/notes").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_meets_only_its_method_path_and_tenant(client):
    fault(client, kind="status", status=500, method="PUT", path="^/no", tenant="t1", times=-1)
    assert client.get("/notes", headers={"X-Tenant": "t1"}).status_code == 200
    assert client.put("/notes", content="a", headers={"X-Tenant": "t2"}).status_code == 200
    assert client.put("/other", content="a", headers={"X-Tenant": "t1"}).status_code == 200
    assert client.put("/notes", content="a", headers={"X-Tenant": "t1"}).status_code == 500
    client.delete("/_control/faults")
    assert client.put("/notes", content="a", headers={"X-Tenant": "t1"}).status_code == 200


def test_dropped_before_the_work_and_after_it(client, store):
    fault(client, kind="drop", method="PUT")
    with pytest.raises(httpx.HTTPError):
        client.put("/notes", content="never")
    assert store.all("notes") == []
    fault(client, kind="lost_answer", method="PUT")
    with pytest.raises(httpx.HTTPError):
        client.put("/notes", content="done")
    assert [note["text"] for note in store.all("notes")] == ["done"]


def test_a_body_cut_in_the_middle(client):
    fault(client, kind="cut")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/notes")


def test_html_and_huge_answers(client):
    fault(client, kind="html")
    assert client.get("/notes").headers["Content-Type"].startswith("text/html")
    fault(client, kind="huge", megabytes=2)
    assert len(client.get("/notes").content) == 2 * 1_048_576 + 2


def test_a_rule_that_is_none_is_refused(client):
    assert client.post("/_control/faults", json={"path": "x"}).status_code == 400
    assert client.post("/_control/faults", json={"kind": "drop", "path": "("}).status_code == 400


def test_the_log_tells_what_was_asked(client):
    client.put("/notes?a=1", content="abc", headers={"X-Tenant": "t", "Idempotency-Key": "k"})
    entry = client.get("/_control/requests?since=0").json()["requests"][0]
    wanted = {"method": "PUT", "path": "/notes", "query": "a=1", "tenant": "t", "status": 200}
    assert wanted.items() <= entry.items()
    assert entry["idempotency_key"] == "k"
    assert entry["sent_bytes"] == 3
    assert client.get(f"/_control/requests?since={entry['n']}").json()["requests"] == []


def test_documents_can_be_loaded_and_read(client):
    things = [{"thingID": "7", "v": 1.5}, {"v": 2}]
    loaded = client.post("/_control/load", json={"t/things": things})
    assert loaded.json() == {"t/things": 2}
    assert client.get("/_control/documents/t/things").json() == things


def test_the_clock_shifts(client):
    before = client.get("/_control/clock").json()["now"]
    after = client.post("/_control/clock", json={"offset_seconds": 86400}).json()["now"]
    assert after > before


def test_stop_ends_open_connections_and_frees_the_port(store):
    running = serve(Controlled(handler(store), store))
    with httpx.Client(base_url=running.url) as client:
        assert client.get("/notes").status_code == 200
        running.stop()
        with pytest.raises(httpx.HTTPError):
            client.get("/notes")
    again = serve(Controlled(handler(store), store), port=running.port)
    assert again.port == running.port
    again.stop()
