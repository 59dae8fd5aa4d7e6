"""Django's settings, made from the environment. See `docs/settings.md` for what can be set."""

from urllib.parse import urlsplit

from psaltery import database, logs
from psaltery.environment import environment, seal_keys, secret_key

ENVIRONMENT = environment()

# Our own, for slices.
DATA = ENVIRONMENT.data
PUBLIC_URL = ENVIRONMENT.public_url
SEAL_KEYS = seal_keys(ENVIRONMENT)
XERO_API_URL = ENVIRONMENT.xero_api_url
XERO_IDENTITY_URL = ENVIRONMENT.xero_identity_url
XERO_LOGIN_URL = ENVIRONMENT.xero_login_url
KEEP_FAILED_JOBS_DAYS = ENVIRONMENT.keep_failed_jobs_days

SECRET_KEY = secret_key(ENVIRONMENT)
DEBUG = False
ALLOWED_HOSTS = ENVIRONMENT.all_hosts
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
ROOT_URLCONF = "psaltery.urls"
WSGI_APPLICATION = "psaltery.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "psaltery.apps.PsalteryConfig",
    "psaltery.web",
    "psaltery.hub",
    "psaltery.signals",
    "psaltery.portfolio",
    "psaltery.sync",
    "psaltery.inbound",
    "psaltery.matching",
    "psaltery.posting",
    "psaltery.contacts",
    "psaltery.mapping",
    "psaltery.notify",
    "psaltery.review",
    "psaltery.rmm",
    "psaltery.ledger",
    "psaltery.desk",
    "psaltery.connections",
    "psaltery.accounts",
    "psaltery.audit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    # With it come HTTP libraries that nothing else here needs.
    *(["allauth.socialaccount.providers.openid_connect"] if ENVIRONMENT.oidc_issuer else []),
    "axes",
    "csp",
    "django_htmx",
    # Last: it looks for the tasks of the slices above.
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    # First: vendors' deliveries need none of the others.
    "psaltery.inbound.middleware.deliveries_first",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "psaltery.accounts.middleware.person_of_request",
    # Last, as its documentation asks.
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Database: the server itself is started by the command line, before Django is set up.
DATABASES = {"default": database.django_database(database.address(ENVIRONMENT))}

# Jobs
PROCRASTINATE_IMPORT_PATHS = [
    "psaltery.sync.finished",
    "psaltery.sync.arrivals",
]
PROCRASTINATE_WORKER_DEFAULTS = {
    "update_heartbeat_interval": 2.0,
    "stalled_worker_timeout": 6.0,
    "delete_jobs": "successful",
}

# People and sign-in
AUTH_USER_MODEL = "accounts.Person"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = ENVIRONMENT.https
CSRF_COOKIE_SECURE = ENVIRONMENT.https

ACCOUNT_ADAPTER = "psaltery.accounts.sign_in.SignIn"
SOCIALACCOUNT_ADAPTER = "psaltery.accounts.sign_in.SingleSignOn"
# Wrong passwords are counted by axes, in the database that all web processes share.
ACCOUNT_RATE_LIMITS = {"login_failed": ""}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(PUBLIC_URL).scheme
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Psaltery"
# Browsers give passkeys to plain http on localhost alone, which is where this is needed.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not ENVIRONMENT.https
MFA_ALLOW_UNVERIFIED_EMAIL = True
USERSESSIONS_TRACK_ACTIVITY = False
SOCIALACCOUNT_ONLY = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_PROVIDERS = (
    {
        "openid_connect": {
            # https://datatracker.ietf.org/doc/html/rfc9700#section-2.1.1
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": ENVIRONMENT.oidc_name,
                    "client_id": ENVIRONMENT.oidc_client_id,
                    "secret": ENVIRONMENT.oidc_client_secret.get_secret_value()
                    if ENVIRONMENT.oidc_client_secret
                    else "",
                    "settings": {"server_url": ENVIRONMENT.oidc_issuer},
                }
            ],
        }
    }
    if ENVIRONMENT.oidc_issuer
    else {}
)

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "psaltery.accounts.sign_in.address_tried"
AXES_LOCKOUT_TEMPLATE = "account/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False

# What browsers are told
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.https else 0
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        # Chromium holds redirects after a form to this list too: consent and single sign-on.
        "form-action": ["'self'", XERO_LOGIN_URL, ENVIRONMENT.oidc_issuer or "'self'"],
    }
}

# Files: served from the packages' own folders, pre-compressed when the project is built.
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "psaltery.web.static_files.VersionedFiles"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 300

# Language and time: kept in UTC, shown in each person's own zone.
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Mail
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if ENVIRONMENT.email_host
    else "psaltery.mail.MailToLog"
)
EMAIL_HOST = ENVIRONMENT.email_host
EMAIL_PORT = ENVIRONMENT.email_port
EMAIL_HOST_USER = ENVIRONMENT.email_user
EMAIL_HOST_PASSWORD = (
    ENVIRONMENT.email_password.get_secret_value() if ENVIRONMENT.email_password else ""
)
EMAIL_USE_TLS = ENVIRONMENT.email_security == "starttls"
EMAIL_USE_SSL = ENVIRONMENT.email_security == "tls"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = ENVIRONMENT.email_from
SERVER_EMAIL = ENVIRONMENT.email_from

LOGGING = logs.configuration(ENVIRONMENT.log_level, ENVIRONMENT.log_format)
