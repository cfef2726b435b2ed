"""Time that a test moves, and a raw HTTP server on loopback whose every byte the test decides."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import anyio
import pytest

from mmframe.net.timing import Timing
from mmframe.testing import ManualClock

PATIENCE_S = 5
"""How long a test waits for what has to happen on real sockets; reached only by a failure."""


class ManualTime:
    """A clock with sleepers: they wake when the test moves time past their due moment."""

    def __init__(self):
        self.clock = ManualClock()
        self.timing = Timing(self.clock, self.sleep)
        self._sleepers = []

    @property
    def now_ns(self):
        return self.clock.now_ns()

    @property
    def waits_s(self):
        """Return how long each sleeper still sleeps, shortest first."""
        return sorted((due_ns - self.now_ns) / 1e9 for due_ns, _ in self._sleepers)

    async def sleep(self, seconds):
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self.now_ns + round(seconds * 1e9), anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def advance(self, seconds):
        """Move time forward through each moment at which somebody wakes."""
        end_ns = self.now_ns + round(seconds * 1e9)
        while True:
            await settle()
            due_ns = min((due for due, _ in self._sleepers if due <= end_ns), default=None)
            if due_ns is None:
                break
            self.clock.advance_to(max(due_ns, self.now_ns))
            for due, event in self._sleepers:
                if due <= self.now_ns:
                    event.set()
        self.clock.advance_to(end_ns)
        await settle()


async def settle():
    """Let everybody run until whatever can happen without time or network has happened."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def until(condition):
    """Wait until `condition()` holds; what happens on real sockets takes a moment."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - sockets set no event
            await anyio.sleep(0.001)


async def pass_until(time, condition, *, step_s=1):
    """Let time pass until `condition()` holds."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.sleep(0.001)
            await time.advance(step_s)


class RawServer:
    """Speaks no HTTP by itself: hands each request's bytes to `answer`, which writes what it likes."""

    def __init__(self, answer):
        self.requests = []
        self.writers = []
        self._answer = answer

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def stop(self):
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(content_length(head))
                self.requests.append(head + body)
                if await self._answer(head + body, writer) == "close":
                    break
        writer.close()


def content_length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def reply(body=b"", *, status="200 OK", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def time():
    return ManualTime()


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture(name="pass_until")
def pass_until_fixture(time):
    return partial(pass_until, time)


@pytest.fixture
def http_reply():
    return reply


@pytest.fixture
async def raw_server():
    """Return a function that starts a server with a given `answer(request, writer)`."""
    servers = []

    async def start(answer):
        servers.append(await RawServer(answer).start())
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()
