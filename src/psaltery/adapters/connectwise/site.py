"""Where a ConnectWise site answers, who we are there, and which codebase it runs.

https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide
"""

import base64
import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from psaltery.adapters.connectwise.wire import CompanyInfo
from psaltery.adapters.errors import BadSettings
from psaltery.adapters.http import Caller

# Pins the model version, so that an upgrade of the site doesn't change what we read.
ACCEPT = "application/vnd.connectwise.com+json; version=2025.16"
ROUTER = "v4_6_release/"  # forwards to the installed version; on-premises sites know only this
CLOUD = ".myconnectwise.net"
_CODEBASE_SECONDS = 6 * 3600
_COMPANY = re.compile(r"[A-Za-z0-9_.\-]+")

# Codebases by (address, company). They change with an upgrade of the site, some times a year.
_codebases: dict[tuple[str, str], tuple[float, str]] = {}


def api_address(site: str) -> str:
    """The origin of the API for an address as people type or copy it. Raises BadSettings.

    Cloud sites answer the API on a host with the prefix "api-"; the address that people see in
    their browser has none, and is refused with an error about SSL.
    """
    text = site.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSettings(
            "The site must be an address such as https://na.myconnectwise.net.", which="site"
        )
    host = parts.hostname
    if host.endswith(CLOUD) and not host.startswith("api-"):
        host = f"api-{host}"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"


def web_origin(site: str) -> str:
    """The origin that people open in a browser."""
    return api_address(site).replace("://api-", "://", 1)


def key_headers(fields: Mapping[str, str]) -> dict[str, str]:
    """Authorization and clientId. Built by hand: some clients mangle the "+" of the user name."""
    user = f"{fields['company'].strip()}+{fields['public_key'].strip()}"
    pair = f"{user}:{fields['private_key'].strip()}".encode()
    return {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "clientId": fields["client_id"].strip(),
    }


def codebase(caller: Caller, company: str, *, fresh: bool = False) -> str:
    """The codebase, e.g. "v2025_1/", from memory or from the site. Raises BadSettings when the site
    knows no such company.

    https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide#Codebase
    """
    key = (caller.base_url, company)
    # Two threads may both look it up; the later one wins and nothing is lost.
    known = _codebases.get(key)
    if known and not fresh and time.monotonic() - known[0] < _CODEBASE_SECONDS:
        return known[1]
    found = _look_up(caller, company)
    _codebases[key] = (time.monotonic(), found)
    return found


def _look_up(caller: Caller, company: str) -> str:
    if not _COMPANY.fullmatch(company):
        raise BadSettings(
            "The company is the short name entered when signing in to ConnectWise: letters, "
            "digits, “_”, “-” and “.” only.",
            which="company",
        )
    answer = caller.call("GET", f"/login/companyinfo/{company}", operation="company_info")
    info = answer.decode(CompanyInfo | None)  # type: ignore[arg-type]
    if info is None:
        raise BadSettings(
            f"The site {caller.base_url} knows no company “{company}”. It is the name entered when "
            "signing in to ConnectWise.",
            which="company",
        )
    return f"{(info.codebase or ROUTER).strip('/')}/"


def record_address(fields: Mapping[str, str], record_type: str, external_id: str) -> str:
    """The page of a record in ConnectWise's own client."""
    query = urlencode(
        {
            "locale": "en_US",
            "recordType": record_type,
            "recid": external_id,
            "companyName": fields["company"],
        }
    )
    origin = web_origin(fields["site"])
    return f"{origin}/{ROUTER}services/system_io/router/openrecord.rails?{query}"
