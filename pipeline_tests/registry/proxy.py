"""A real HTTP proxy before the S3 server, which can misbehave in the ways that servers and networks do."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pipeline_tests.services.misbehaving import HANGS_SECONDS, Handler, Misbehaving, serving

ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>not now</Message></Error>"


class Proxy(Misbehaving):
    """Passes requests on, or does what `fault` says; with `other` an object has other bytes."""

    def __init__(self, target: str) -> None:
        super().__init__(_Handler)
        self.target = urlsplit(target)


class _Handler(Handler):
    server: Proxy

    def refusal(self, status: int) -> bytes:
        return ERROR % (b"InternalError" if status == 500 else b"SlowDown")

    def answer(self, body: bytes, fault: str | None) -> tuple[int, dict[str, str], bytes]:
        status, headers, content = self._passed_on(body)
        if fault == "other" and "list-type" not in self.path:
            content = bytes(255 - byte for byte in content)
            # Not every server sends one, and what a server has lost it may have summed up anew.
            headers = {name: value for name, value in headers.items() if "checksum" not in name.lower()}
        return status, headers, content

    def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        target = self.server.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=HANGS_SECONDS)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    """A proxy that serves until the block ends."""
    with serving(Proxy(target)) as proxy:
        yield proxy
