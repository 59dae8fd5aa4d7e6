"""The settings of an installation: `PSALTERY_*` variables, read here and nowhere else.

Every name, default and meaning is listed in `docs/settings.md`; a test holds the two together.
"""

import base64
import binascii
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "PSALTERY_"
SEAL_KEY_BYTES = 32

Words = Annotated[tuple[str, ...], NoDecode]


class BadEnvironment(Exception):
    """A `PSALTERY_*` variable can't be used; the message says which, and what to do."""


class FileVariants(PydanticBaseSettingsSource):
    """Takes `PSALTERY_X` from the file named in `PSALTERY_X_FILE`, as container secrets want it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The stripped content of the named file, or None when the variable is not set."""
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            name = f"{PREFIX}{field_name.upper()}_FILE"
            raise BadEnvironment(f"{name}: can't read {path}: {error.strerror}") from error

    def __call__(self) -> dict[str, Any]:
        """Every field whose `_FILE` variable is set."""
        fields = self.settings_cls.model_fields
        read = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in read.items() if value is not None}


class Environment(BaseSettings):
    """All settings of an installation, validated. Field `x_y` is variable `PSALTERY_X_Y`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, validate_default=True
    )

    data: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("psaltery", appauthor=False),
        description="Folder for keys, the private PostgreSQL and exported files.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use, `postgresql://user:password@host:5432/name?sslmode=…`. "
        "Without it a private PostgreSQL runs in the data folder.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs sessions and links. Made in the data folder when absent.",
    )
    seal_keys: SecretStr | None = Field(
        default=None,
        description="Keys that seal stored credentials: `id:base64` of 32 bytes, comma between "
        "several; the first seals, all open. Made in the data folder when absent.",
    )
    port: int = Field(default=8080, ge=1, le=65535, description="Port the web server listens on.")
    public_url: str = Field(
        default_factory=lambda earlier: f"http://localhost:{earlier.get('port', 8080)}",
        description="Address that people and vendors reach Psaltery at.",
    )
    hosts: Words = Field(
        default=(),
        description="Further host names to answer to, comma between. Those of the public address "
        "and of this machine's loopback are always answered.",
    )
    bind: str = Field(default="127.0.0.1", description="Address the web server listens on.")
    web_workers: int = Field(default=1, ge=1, le=64, description="Processes of the web server.")
    web_threads: int = Field(
        default=16, ge=1, le=256, description="Requests one web process serves at once."
    )
    worker_concurrency: int = Field(
        default=4, ge=1, le=64, description="Jobs one worker process does at once."
    )
    trusted_proxies: Words = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-*` is believed.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )
    keep_failed_jobs_days: int = Field(
        default=30, ge=1, description="Days after which the record of a failed job is deleted."
    )
    xero_api_url: str = Field(default="https://api.xero.com", description="Xero's API.")
    xero_identity_url: str = Field(
        default="https://identity.xero.com", description="Xero's token service."
    )
    xero_login_url: str = Field(
        default="https://login.xero.com", description="Xero's consent page."
    )
    email_host: str = Field(
        default="", description="Mail server. Without it, mail is written to the log."
    )
    email_port: int = Field(default=587, ge=1, le=65535, description="Port of the mail server.")
    email_user: str = Field(default="", description="User name at the mail server.")
    email_password: SecretStr | None = Field(
        default=None, description="Password at the mail server."
    )
    email_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection to the mail server is protected."
    )
    email_from: str = Field(
        default="Psaltery <psaltery@localhost>", description="Sender of mail, as in its header."
    )
    oidc_issuer: str = Field(
        default="", description="OpenID Connect issuer for single sign-on. Empty: not offered."
    )
    oidc_name: str = Field(
        default="Single sign-on", description="Text of the single sign-on button."
    )
    oidc_client_id: str = Field(default="", description="Client id at the issuer.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Client secret at the issuer."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then their `_FILE` variants; no `.env` files."""
        # A forgotten `.env` in some folder must not change what an installation does.
        return init_settings, env_settings, FileVariants(settings_cls)

    @field_validator("hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator(
        "public_url", "xero_api_url", "xero_identity_url", "xero_login_url", "oidc_issuer"
    )
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc):
            raise ValueError("must be an address such as https://psaltery.example.com")
        # Compared byte for byte by vendors: one way of writing it, without a slash at the end.
        return value.rstrip("/")

    @property
    def https(self) -> bool:
        """Whether people reach this installation over TLS."""
        return self.public_url.startswith("https://")

    @property
    def embedded(self) -> bool:
        """Whether this installation runs its own PostgreSQL."""
        return self.database_url is None

    @property
    def all_hosts(self) -> list[str]:
        """Host names that requests may carry."""
        public = urlsplit(self.public_url).hostname or "localhost"
        # The loopback is always among them, for the health checks of the machine itself.
        return list(dict.fromkeys([public, "localhost", "127.0.0.1", "[::1]", *self.hosts]))


@cache
def environment() -> Environment:
    """The settings of this process.

    Raises BadEnvironment with one line for each variable that can't be used.
    """
    try:
        return Environment()
    except ValidationError as error:
        problems = [
            f"{PREFIX}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise BadEnvironment("\n".join(problems)) from error


def unknown_variables() -> list[str]:
    """Names of `PSALTERY_*` variables that mean nothing here: most often a slip of the pen."""
    known = {f"{PREFIX}{name.upper()}" for name in Environment.model_fields}
    known |= {f"{name}_FILE" for name in known}
    # Read by the test suite alone.
    known |= {f"{PREFIX}TEST_DATABASE_URL"}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def kept_secret(path: Path, fresh: str) -> str:
    """The text in `path`; `fresh` is put there (mode 0600) when the file does not exist.

    Processes that start together agree: the first one's text wins, whole.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and then linked: nobody can read half a key, and its mode is right from
        # the start.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
        try:
            # Unlike a rename, a link fails where another process was first.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def secret_key(env: Environment) -> str:
    """The key that signs sessions: from the environment, or kept in the data folder."""
    if env.secret_key is not None:
        return env.secret_key.get_secret_value()
    return kept_secret(env.data / "secret.key", secrets.token_urlsafe(50))


def seal_keys(env: Environment) -> dict[str, bytes]:
    """Key id to 32 bytes, the sealing key first: from the environment or the data folder.

    Raises BadEnvironment when an entry is not `id:base64` of 32 bytes.
    """
    if env.seal_keys is not None:
        return parse_seal_keys(env.seal_keys.get_secret_value())
    fresh = base64.b64encode(secrets.token_bytes(SEAL_KEY_BYTES)).decode()
    return parse_seal_keys(kept_secret(env.data / "seal.keys", f"k1:{fresh}"))


def parse_seal_keys(text: str) -> dict[str, bytes]:
    """Parses `id:base64,id:base64` (new lines also separate). Raises BadEnvironment."""
    keys: dict[str, bytes] = {}
    for entry in text.replace("\n", ",").split(","):
        key_id, _, encoded = entry.strip().partition(":")
        if not key_id and not encoded:
            continue
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise BadEnvironment(f"PSALTERY_SEAL_KEYS: key {key_id!r} is not base64") from error
        if not key_id or len(keys[key_id]) != SEAL_KEY_BYTES:
            raise BadEnvironment(
                f"PSALTERY_SEAL_KEYS: key {key_id!r} must be an id, a colon and 32 bytes in base64;"
                " `openssl rand -base64 32` makes one"
            )
    if not keys:
        raise BadEnvironment("PSALTERY_SEAL_KEYS: no key in it")
    return keys
