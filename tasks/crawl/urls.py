"""URLs in one canonical spelling, so that a page has one name."""

from __future__ import annotations

import functools
import re
from urllib.parse import urljoin, urlsplit, urlunsplit

MAX_URL_LENGTH = 2000  # the sitemap protocol's limit is 2,048; longer ones are traps

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE = _UNRESERVED | frozenset(b"!$&'()*+,;=:@/")  # RFC 3986 § 3.3
_QUERY_SAFE = _PATH_SAFE | frozenset(b"?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
_IPV6 = re.compile(r"\[[0-9a-f:.]+\]\Z")
# say where a visitor came from, never what the page is
_TRACKING = re.compile(r"(utm_[a-z]+|gclid|dclid|fbclid|msclkid|yclid|mc_[ce]id|igshid|phpsessid|jsessionid)=", re.I)
_SESSION_PATH = re.compile(r";jsessionid=[^/?]*", re.I)


@functools.lru_cache(maxsize=65_536)  # a site's pages link to the same pages again and again
def canonical(url: str, base: str | None = None) -> str | None:
    """Return the canonical spelling of an http(s) URL, or None where it is no such URL.

    RFC 3986 § 6.2.2 (case, percent-encoding, dot segments) and § 6.2.3 (default port, empty path), with the
    leniency of browsers (WHATWG URL: outer blanks, tabs and newlines, backslashes). The fragment and well-known
    tracking and session parameters go; the order of parameters stays, as a server may care. URLs with credentials
    are none of ours. `canonical(canonical(u)) == canonical(u)`.
    """
    url = url.strip("".join(map(chr, range(0x21)))).replace("\t", "").replace("\n", "").replace("\r", "")
    path, mark, rest = url.partition("?")
    url = path.replace("\\", "/") + mark + rest
    try:
        parts = urlsplit(urljoin(base, url) if base else url)
        scheme, port = parts.scheme.lower(), parts.port
    except ValueError:  # "[" without "]", a port that is no number
        return None
    if scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or port == 0:
        return None
    host = _canonical_host(parts.hostname)
    if host is None:
        return None
    netloc = host if port is None or port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    path = _remove_dot_segments(_escape(_SESSION_PATH.sub("", parts.path), _PATH_SAFE)) or "/"
    query = "&".join(piece for piece in parts.query.split("&") if piece and not _TRACKING.match(piece))
    result = urlunsplit((scheme, netloc, path, _escape(query, _QUERY_SAFE), ""))
    return result if len(result) <= MAX_URL_LENGTH else None


def host_of(url: str) -> str:
    """Return the host of a canonical URL, without its port."""
    return urlsplit(url).hostname or ""


def origin_of(url: str) -> str:
    """Return scheme://host[:port] of a canonical URL: what one robots.txt speaks for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_trap(url: str) -> bool:
    """Return whether a path repeats one segment four times or is 20 deep: a site that links to itself for ever."""
    segments = [segment for segment in urlsplit(url).path.split("/") if segment]
    return len(segments) > 20 or any(segments.count(segment) >= 4 for segment in set(segments))


def _canonical_host(name: str) -> str | None:
    name = name.lower().rstrip(".")
    if name.startswith("[") or ":" in name:
        name = name if name.startswith("[") else f"[{name}]"
        return name if _IPV6.match(name) else None
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return name if len(name) <= 253 and _HOST.match(name) else None


def _escape(text: str, safe: frozenset[int]) -> str:
    """Percent-encode what may not stand bare, decode what need not be encoded; one spelling of each."""
    raw = text.encode("utf-8", "surrogatepass")
    out, position = bytearray(), 0
    while position < len(raw):
        escape = _ESCAPE.match(raw, position)
        if escape:
            byte = int(escape[1], 16)
            out += bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte
            position += 3
        else:
            byte = raw[position]
            out += bytes([byte]) if byte in safe else b"%%%02X" % byte
            position += 1
    return out.decode("ascii")


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 § 5.2.4; a path always starts with a slash."""
    out: list[str] = []
    segments = path.split("/")
    for number, segment in enumerate(segments[1:] if path.startswith("/") else segments):
        last = number == len(segments) - (2 if path.startswith("/") else 1)
        if segment in (".", ".."):
            if segment == ".." and out:
                out.pop()
            if last:
                out.append("")
        else:
            out.append(segment)
    return "/" + "/".join(out)
