"""Asking an HTTP server: bounded in time and size, repeated, guarded by its breaker, and never indiscreet."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pipeline import __version__
from pipeline.errors import BadAnswerError, ServiceUnavailableError, SourceError
from pipeline.resilience.faults import shown, told, transient
from pipeline.resilience.report import reported
from pipeline.resilience.services import Guard
from pipeline.resilience.unpacking import ACCEPTED, unpacked
from pipeline.settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx

HOPS = 5
"""Redirections that are followed."""
NOT_MODIFIED = 304
OF_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
AGENT = f"demand-forecast-pipeline/{__version__}"


@dataclass(frozen=True)
class Answer:
    """What a server answered: its status, its headers (names in any case) and its body, unpacked."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def unchanged(self) -> bool:
        """Whether it says that there still is what the request's condition names; the body is then empty."""
        return self.status == NOT_MODIFIED

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            BadAnswerError: it is none; names the address, the kind and the size of what came instead.
        """
        try:
            return json.loads(self.body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("Content-Type", "of no stated type")
            raise BadAnswerError(
                f"{shown(self.url)} answered what is no JSON ({kind}, {len(self.body):,} bytes); "
                f"is it the address of the interface, and is the login still good?"
            ) from error


class HttpClient:
    """Asks one service; safe to share between threads. To be closed, or used as a context.

    Cookies are not kept: each request says all that there is to say.

    Args:
        guard: its repetitions and its breaker.
        settings: time-outs and the largest answer.
        headers: sent to the service's own address alone, such as a key.
        auth: user and password, likewise; a login in the URL serves as well.
    """

    def __init__(
        self,
        guard: Guard,
        settings: Settings,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        import httpx

        self._guard, self._settings = guard, settings
        self._headers, self._auth = dict(headers or {}), auth
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        always = {"User-Agent": AGENT, "Accept": "application/json", "Accept-Encoding": ACCEPTED}
        self._client = httpx.Client(
            headers=always, cookies=cookies, verify=_certificates(*map(os.environ.get, OF_CERTIFICATES))
        )

    def get(
        self, url: str, params: Mapping[str, str] | None = None, condition: Mapping[str, str] | None = None
    ) -> Answer:
        """Return what the server has at an address.

        Redirections on the same host are followed with the login; to another host without login and headers; from https
        to http never.

        Args:
            url: `http://` or `https://`.
            params: added to the query; values are never shown.
            condition: such as `If-None-Match`; where it does not hold, the answer is `unchanged`.

        Raises:
            ServiceUnavailableError: it did not answer in time, or could not, or is left alone by its breaker.
            BadAnswerError: it refused (a status of 400 and above); its answer is too large, cannot be unpacked, or
                leads elsewhere; or the address is none.
        """
        import httpx

        deadline = self._guard.time.clock() + self._guard.rule.total_seconds
        with reported() as report:
            try:
                target = httpx.URL(url).copy_merge_params(params or {})
                return self._guard.call(lambda: self._followed(target, condition or {}, deadline))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._explained(error, shown(url), report.attempts) from error

    def get_json(self, url: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON that the server has at an address; raises what `get` and `Answer.json` do."""
        return self.get(url, params).json()

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _followed(self, url: httpx.URL, condition: Mapping[str, str], deadline: float) -> Answer:
        auth = self._auth or ((url.username, url.password) if url.userinfo else None)
        at = url
        for _ in range(HOPS + 1):
            own = _same_host(url, at)
            answer = self._once(at, {**self._headers, **condition} if own else {}, auth if own else None, deadline)
            if "Location" not in answer.headers or not 300 <= answer.status < 400:
                return answer
            at = _next(at, answer.headers["Location"])
        raise BadAnswerError(f"{shown(str(url))} leads on more than {HOPS} times")

    def _once(
        self, url: httpx.URL, headers: Mapping[str, str], auth: tuple[str, str] | None, deadline: float
    ) -> Answer:
        timeouts = self._timeouts(deadline)
        with self._client.stream("GET", url, headers=headers, auth=auth, timeout=timeouts) as response:
            if not response.has_redirect_location and response.status_code != NOT_MODIFIED:
                response.raise_for_status()
            return Answer(str(url), response.status_code, response.headers, self._body(response, deadline))

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        import httpx

        most, body = self._settings.http_max_bytes, bytearray()
        for part in unpacked(response):
            if len(body) + len(part) > most:
                raise BadAnswerError(f"{shown(str(response.url))} answered more than HTTP_MAX_BYTES={most:,} bytes")
            body += part
            if self._guard.time.clock() > deadline:
                raise httpx.ReadTimeout("the answer was not whole in time", request=response.request)
        return bytes(body)

    def _timeouts(self, deadline: float) -> httpx.Timeout:
        import httpx

        chosen, left = self._settings, max(deadline - self._guard.time.clock(), 0.001)
        return httpx.Timeout(
            connect=min(chosen.http_connect_seconds, left),
            read=min(chosen.http_read_seconds, left),
            write=min(chosen.http_write_seconds, left),
            pool=min(chosen.http_pool_seconds, left),
        )

    def _explained(self, error: Exception, url: str, attempts: int) -> SourceError:
        what = told(error) if url in told(error) else f"{told(error)} from {url}"
        if transient(error):
            times = "once" if attempts == 1 else f"{attempts} times"
            return ServiceUnavailableError(f"the service {self._guard.name} was asked {times} and failed: {what}")
        return BadAnswerError(f"the service {self._guard.name} cannot be used: {what}")


@lru_cache(maxsize=4)
def _certificates(*_: str | None) -> ssl.SSLContext:
    """The authorities that the variables name or the system trusts; reading them takes longer than most answers."""
    import httpx

    return httpx.create_ssl_context()


def _next(url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirection leads to."""
    target = url.join(location)
    if url.scheme == "https" and target.scheme != "https":
        raise BadAnswerError(f"{shown(str(url))} leads to {shown(str(target))}, which is not encrypted: not followed")
    return target


def _same_host(first: httpx.URL, then: httpx.URL) -> bool:
    """Whether two addresses are of one server; the usual port of https counts as that of http, encrypted."""
    if first.host != then.host:
        return False
    secured = (first.scheme, then.scheme) == ("http", "https") and first.port is None and then.port is None
    return secured or (first.scheme, first.port) == (then.scheme, then.port)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
