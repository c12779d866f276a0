"""URLs in one canonical spelling, so that each page has a single name."""

from __future__ import annotations

import functools
import re

import ada_url

MAX_URL_LENGTH = 2000  # the sitemap protocol's limit is 2,048; longer ones are traps

_SCHEMES = ("http://", "https://")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SAFE = _UNRESERVED | frozenset(b"!$&'()*+,;=:@/?")  # RFC 3986 § 3.3 and § 3.4
_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*\Z")  # nothing to escape, nothing to unescape
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
# parameters that say where a visitor came from, never what the page is: lists of ClearURLs and browser protections
_TRACKING = (
    r"utm_[a-z_]+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|ysclid|twclid|ttclid|igshid|igsh|mc_[ce]id|"
    r"_ga|_gl|_hsenc|_hsmi|__hs[a-z]{2,3}|hsctatracking|mkt_tok|vero_id|oly_(?:anon|enc)_id|wt_mc|wickedid|rb_clickid"
)
# parameters that name a visitor: PHP, Java, ASP, ColdFusion, osCommerce, Zen Cart; `sid` only in phpBB's form, as
# elsewhere it is a story; session_id only with a value like a visitor's, as conferences number their sessions too
_SESSION = r"phpsessid|jsessionid|aspsessionid[a-z]*|sessid|cfid|cftoken|oscsid|zenid"
_VISITOR = r"s(?:id)?=[0-9a-f]{32}|session_?id=(?:[\w.%-]{8,})?"
_DROPPED = re.compile(rf"(?:(?:{_TRACKING}|{_SESSION})(?:=|\Z)|(?:{_VISITOR})\Z)", re.I)
_SESSION_PATH = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?;]*|/\([a-z]\([a-z0-9]{24}\)\)(?=/)", re.I)


@functools.lru_cache(maxsize=131_072)  # a site's pages link to the same pages again and again
def canonical(url: str, base: str | None = None, drop: re.Pattern[str] | None = None) -> str | None:
    """Return the canonical spelling of an http(s) URL, or None if it is not one that we visit.

    It is parsed by the WHATWG URL standard (with ada, the parser of Node.js): case, blanks, backslashes, dot
    segments, default ports, IDN (UTS 46), IPv4 in any notation (`0x7f.1`, `2130706433`). Then percent-encoding is
    normalised (RFC 3986 § 6.2.2.2), and the fragment, well-known tracking and session parameters, and parameters whose
    name matches `drop` are removed. The order of parameters is kept, as it may matter to a server. URLs with
    credentials, hosts that cannot be in DNS and URLs longer than MAX_URL_LENGTH are not visited.
    `canonical(canonical(u)) == canonical(u)`.
    """
    try:
        href: str = ada_url.join_url(base, url) if base else ada_url.URL(url).href
    except UnicodeEncodeError:  # lone surrogates; WHATWG turns them into U+FFFD
        return canonical(url.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), base, drop)
    except ValueError:
        return None
    if not href.startswith(_SCHEMES):
        return None
    href = href.partition("#")[0]
    scheme, _, rest = href.partition("://")
    netloc, slash, rest = rest.partition("/")
    if "@" in netloc:
        return None
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    host = host if colon else netloc
    if not host.strip("."):  # if the dots were removed, the path would be taken for the host
        return None
    if host.endswith("."):  # example.org. is example.org; without the dot it may be an IPv4 address, or nothing
        return canonical(f"{scheme}://{host.rstrip('.')}{colon}{port if colon else ''}{slash}{rest}", None, drop)
    if (not host.startswith("[") and not (_HOST.match(host) and len(host) <= 253)) or (colon and port == "0"):
        return None
    path, mark, query = rest.partition("?")
    path, session = _SESSION_PATH.subn("", slash + path)
    if session:  # the rest may end in a dot segment
        return canonical(f"{scheme}://{netloc}{path}{mark}{query}", None, drop)
    if mark:
        kept = [piece for piece in query.split("&") if piece and not _is_dropped(piece, drop)]
        path = f"{path}?{'&'.join(kept)}" if kept else path
    if not _PLAIN.match(path):
        path = _escape(path)
    result = f"{scheme}://{netloc}{path}"
    return result if len(result) <= MAX_URL_LENGTH else None


@functools.lru_cache(maxsize=131_072)
def resolved(link: str, base: str, drop: re.Pattern[str] | None = None) -> tuple[str | None, str | None]:
    """Return the canonical URL of a link, and the page's spelling if the canonical one lacks parameters of it."""
    target = canonical.__wrapped__(link, base, drop)
    return target, None if target is None else _whole(link, base, target)


def _whole(url: str, base: str, target: str) -> str | None:
    if ";" not in url and "(" not in url and url.partition("#")[0].partition("?")[2] == target.partition("?")[2]:
        return None
    try:
        href: str = ada_url.join_url(base, url).partition("#")[0]
    except ValueError:  # lone surrogates
        return None
    return href[:MAX_URL_LENGTH] if _parts(href) > _parts(target) else None


def _parts(url: str) -> int:
    path, _, query = url.partition("?")
    return len([piece for piece in query.split("&") if piece]) + path.count(";") + path.count("/(")


def host_of(url: str) -> str:
    """Return the host of a canonical URL, without its port and without the brackets of IPv6."""
    netloc = url.split("/", 3)[2] if "://" in url else ""
    return netloc[1:].partition("]")[0] if netloc.startswith("[") else netloc.partition(":")[0]


def origin_of(url: str) -> str:
    """Return scheme://host[:port] of a canonical URL: what one robots.txt applies to."""
    return "/".join(url.split("/", 3)[:3])


def _is_dropped(piece: str, drop: re.Pattern[str] | None) -> bool:
    return bool(_DROPPED.match(piece)) or (drop is not None and drop.fullmatch(piece.partition("=")[0]) is not None)


def _escape(text: str) -> str:
    """Percent-encode what must be encoded and decode what need not be, so that each character has one spelling."""
    raw = text.encode()
    out, position = bytearray(), 0
    while position < len(raw):
        escape = _ESCAPE.match(raw, position)
        if escape:
            byte = int(escape[1], 16)
            out += bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte
            position += 3
        else:
            byte = raw[position]
            out += bytes([byte]) if byte in _SAFE else b"%%%02X" % byte
            position += 1
    return out.decode("ascii")
