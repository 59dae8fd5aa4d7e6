"""The WSGI application, for `psaltery web` or any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application
from granian.utils.proxies import wrap_wsgi_with_proxy_headers

from psaltery.environment import environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "psaltery.settings")

application = get_wsgi_application()

# Only then: anybody could else name any address as their own by X-Forwarded-For.
if environment().trusted_proxies:
    application = wrap_wsgi_with_proxy_headers(
        application, trusted_hosts=list(environment().trusted_proxies)
    )
