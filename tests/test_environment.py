"""The settings: what is read, what is refused, what is made when absent."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from psaltery import environment as module
from psaltery.environment import BadEnvironment, Environment, environment, parse_seal_keys

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    environment.cache_clear()
    yield
    environment.cache_clear()


def test_the_public_address_follows_the_port(monkeypatch):
    monkeypatch.setenv("PSALTERY_PORT", "9001")
    assert environment().public_url == "http://localhost:9001"
    assert not environment().https


def test_a_public_address_is_answered_to_and_loses_its_slash(monkeypatch):
    monkeypatch.setenv("PSALTERY_PUBLIC_URL", "https://psaltery.example.com/")
    monkeypatch.setenv("PSALTERY_HOSTS", "a.example.com, b.example.com")
    env = environment()
    assert env.public_url == "https://psaltery.example.com"
    assert env.https
    assert env.all_hosts[0] == "psaltery.example.com"
    assert {"a.example.com", "b.example.com", "localhost"} <= set(env.all_hosts)


def test_a_secret_comes_from_the_file_that_a_variable_names(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("PSALTERY_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert module.secret_key(environment()) == "from a file"


def test_the_variable_itself_wins_over_its_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("PSALTERY_SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("PSALTERY_SECRET_KEY", "from the variable")
    assert module.secret_key(environment()) == "from the variable"


def test_a_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("PSALTERY_SECRET_KEY_FILE", "/nowhere/key")
    with pytest.raises(BadEnvironment, match=r"PSALTERY_SECRET_KEY_FILE: can't read /nowhere/key"):
        environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PSALTERY_PORT", "http"),
        ("PSALTERY_PORT", "70000"),
        ("PSALTERY_PUBLIC_URL", "psaltery.example.com"),
        ("PSALTERY_LOG_LEVEL", "chatty"),
        ("PSALTERY_XERO_API_URL", "ftp://x"),
    ],
)
def test_a_bad_value_is_refused_by_its_variable_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadEnvironment, match=name):
        environment()


def test_secrets_stay_out_of_what_is_printed(monkeypatch):
    monkeypatch.setenv("PSALTERY_DATABASE_URL", "postgresql://u:hidden@h/d")
    assert "hidden" not in repr(environment())


def test_a_misspelt_variable_is_found(monkeypatch):
    monkeypatch.setenv("PSALTERY_PUBLIC_ULR", "https://x.example.com")
    assert module.unknown_variables() == ["PSALTERY_PUBLIC_ULR"]


def test_seal_keys_keep_their_order():
    keys = parse_seal_keys(f"new:{KEY},old:{KEY}\n")
    assert list(keys) == ["new", "old"]
    assert keys["new"] == bytes(range(32))


@pytest.mark.parametrize("text", ["", "k1:abc!", f":{KEY}", "k1:" + KEY[:8], "k1"])
def test_bad_seal_keys_are_refused(text):
    with pytest.raises(BadEnvironment, match="PSALTERY_SEAL_KEYS"):
        parse_seal_keys(text)


def test_keys_are_made_once_and_private(monkeypatch, tmp_path):
    monkeypatch.setenv("PSALTERY_DATA", str(tmp_path / "new"))
    env = environment()
    assert module.secret_key(env) == module.secret_key(env)
    assert module.seal_keys(env) == module.seal_keys(env)
    for name in ("secret.key", "seal.keys"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600


def test_processes_that_start_together_keep_the_same_secret(tmp_path: Path):
    path = tmp_path / "data" / "secret.key"
    with ThreadPoolExecutor(max_workers=16) as pool:
        seen = list(pool.map(lambda n: module.kept_secret(path, f"secret {n}"), range(64)))
    assert len(set(seen)) == 1
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_the_documentation_lists_exactly_the_settings():
    text = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    for name, field in Environment.model_fields.items():
        rows = [row for row in text.splitlines() if row.startswith(f"| `PSALTERY_{name.upper()}` ")]
        assert len(rows) == 1, f"docs/settings.md has {len(rows)} rows for {name}"
        assert field.description in rows[0]
        if field.default_factory is None and field.default not in (None, "", ()):
            assert f"`{field.default}`" in rows[0], f"the default of {name} is not in its row"
    documented = {row.split("`")[1] for row in text.splitlines() if row.startswith("| `PSALTERY_")}
    assert documented == {f"PSALTERY_{name.upper()}" for name in Environment.model_fields}
