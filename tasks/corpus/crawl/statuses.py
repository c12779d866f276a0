"""Status codes of HTTP that decide what is done next (RFC 9110 § 15)."""

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may succeed when the request is sent again
REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
