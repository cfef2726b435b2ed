"""Each way in which a request can end, against a raw server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import ssl
from functools import partial

import anyio
import pytest

from mmframe.errors import DomainError
from mmframe.net.http import HttpLimits, HttpSession
from mmframe.net.request import Answer, HttpRequest, NotSent, OutcomeUnknown

SIGNATURE = "5ec4e7519a70e"
GET = HttpRequest("GET", b"/api/v3/time")
ORDER = HttpRequest("POST", f"/api/v3/order?signature={SIGNATURE}".encode(), (("X-KEY", "5ec4e7key"),), b"5ec4e7body")


@pytest.fixture
def session_of(time):
    """Return a function that opens a session with a server."""

    def open_session(server, **limits):
        return HttpSession(server.url, timing=time.timing, limits=HttpLimits(**limits))

    return open_session


@pytest.fixture
def answering(raw_server, http_reply):
    """Return a function that starts a server that answers everything alike."""

    async def start(*args, **kwargs):
        async def answer(request, writer):
            writer.write(http_reply(*args, **kwargs))

        return await raw_server(answer)

    return start


@pytest.fixture
async def silent(raw_server):
    """Return a server that reads requests and says nothing."""

    async def answer(request, writer):
        await anyio.Event().wait()

    return await raw_server(answer)


async def test_an_answer_carries_status_headers_body_and_time(answering, session_of, time):
    server = await answering(b'{"code":-2010}', status="400 Bad Request", headers=("X-MBX-USED-WEIGHT-1M: 17",))

    async with session_of(server) as session:
        outcome = await session.send(GET)

    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body, outcome.receive_ns) == (400, b'{"code":-2010}', time.now_ns)
    assert outcome.headers["x-mbx-used-weight-1m"] == "17"


@pytest.mark.parametrize(
    "target",
    [b"/a?x=%7e%7E~&y=1&x=2", b"/a?s=%EF%BC%91", b"/a?q=a+b%20c", b"/a//b/../c?", b"/a?[]|{}^`", b"/?a=b/c:d@e,f;g'h"],
)
async def test_the_target_is_sent_byte_for_byte(answering, session_of, target):
    server = await answering()

    async with session_of(server) as session:
        await session.send(HttpRequest("GET", target))

    assert server.requests[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


async def test_headers_and_body_are_sent_as_given_and_nothing_identifying_is_added(answering, session_of):
    server = await answering()
    body = b'{"b":1,  "a":"\xc3\xa9"}'

    async with session_of(server) as session:
        await session.send(HttpRequest("POST", b"/v5/order", (("X-BAPI-SIGN", "abc"),), body))

    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert sent == body
    assert b"X-BAPI-SIGN: abc" in head
    assert b"accept-encoding: identity" in head.lower()
    assert names == {
        b"host",
        b"accept",
        b"accept-encoding",
        b"connection",
        b"user-agent",
        b"x-bapi-sign",
        b"content-length",
    }


async def test_cookies_are_not_kept(answering, session_of):
    server = await answering(headers=("Set-Cookie: session=1; Path=/",))

    async with session_of(server) as session:
        await session.send(GET)
        await session.send(GET)

    assert b"cookie" not in server.requests[1].lower()


async def test_a_redirect_is_an_answer_and_not_followed(answering, session_of):
    server = await answering(status="302 Found", headers=("Location: /elsewhere",))

    async with session_of(server) as session:
        outcome = await session.send(GET)

    assert (outcome.status, len(server.requests)) == (302, 1)


async def test_a_refused_connection_means_that_nothing_was_sent(answering, session_of):
    server = await answering()
    await server.stop()

    async with session_of(server) as session:
        outcome = await session.send(ORDER)

    assert outcome == NotSent("ConnectError")


async def test_a_connection_cut_after_the_request_leaves_the_outcome_unknown(raw_server, session_of):
    async def answer(request, writer):
        return "close"

    server = await raw_server(answer)

    async with session_of(server) as session:
        outcome = await session.send(ORDER)

    assert outcome == OutcomeUnknown("RemoteProtocolError")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("written", "reason", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "RemoteProtocolError", 200),
        (b"<html>not a status line</html>\r\n\r\n", "RemoteProtocolError", None),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "RemoteProtocolError", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "RemoteProtocolError", 200),
    ],
    ids=["cut-body", "no-http", "endless-header", "broken-chunk"],
)
async def test_an_answer_that_breaks_leaves_the_outcome_unknown(raw_server, session_of, written, reason, status):
    async def answer(request, writer):
        writer.write(written)
        return "close"

    async with session_of(await raw_server(answer)) as session:
        outcome = await session.send(ORDER)

    assert outcome == OutcomeUnknown(reason, status)


async def test_a_silent_server_is_left_at_the_total_deadline(silent, session_of, time, until):
    outcomes = []

    async with session_of(silent, total_s=10) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(collect, session, ORDER, outcomes)
        await until(lambda: silent.requests)
        await time.advance(9.9)
        assert outcomes == []
        await time.advance(0.1)
        await until(lambda: outcomes)

    assert outcomes == [OutcomeUnknown("no answer within 10 s")]


async def test_a_body_that_drips_is_left_at_the_total_deadline(raw_server, session_of, time, until):
    drip = anyio.Event()

    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(3):
            writer.write(b"x")
            await writer.drain()
        drip.set()
        await anyio.Event().wait()

    outcomes = []
    async with session_of(await raw_server(answer)) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(collect, session, ORDER, outcomes, total_s=2))
        await drip.wait()
        await time.advance(2)
        await until(lambda: outcomes)

    assert outcomes == [OutcomeUnknown("no answer within 2 s", 200)]


async def test_a_body_over_the_bound_is_cut_there(raw_server, session_of):
    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with session_of(await raw_server(answer), body_bytes_max=200_000) as session:
        outcome = await session.send(GET)

    assert outcome == OutcomeUnknown("the answer is longer than 200000 bytes", 200, is_unreadable=True)


async def test_the_bound_of_a_body_is_inclusive_and_can_be_set_for_one_request(answering, session_of):
    server = await answering(b"x" * 1000)

    async with session_of(server, body_bytes_max=10) as session:
        assert isinstance(await session.send(GET, body_bytes_max=1000), Answer)
        assert isinstance(await session.send(GET, body_bytes_max=999), OutcomeUnknown)


async def test_a_compressed_answer_is_refused_so_that_none_can_explode(answering, session_of):
    server = await answering(gzip.compress(b"0" * 10_000_000), headers=("Content-Encoding: gzip",))

    async with session_of(server) as session:
        outcome = await session.send(GET)

    assert outcome == OutcomeUnknown("the answer is compressed although that was declined", 200, is_unreadable=True)


async def test_a_request_that_waits_for_a_place_until_the_deadline_was_not_sent(silent, session_of, time, until):
    first, second = [], []

    async with session_of(silent, concurrent_max=1) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(collect, session, GET, first, total_s=60))
        await until(lambda: silent.requests)
        tasks.start_soon(partial(collect, session, ORDER, second, total_s=5))
        await time.advance(5)
        await until(lambda: second)
        tasks.cancel_scope.cancel()

    assert second == [NotSent("no answer within 5 s")]
    assert len(silent.requests) == 1


async def test_more_waiting_requests_than_allowed_are_not_sent(silent, session_of, until):
    async with session_of(silent, concurrent_max=1, waiting_max=1) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(session.send, GET)
        tasks.start_soon(session.send, GET)
        await until(lambda: session.under_way == 2 and silent.requests)

        outcome = await session.send(ORDER)
        tasks.cancel_scope.cancel()

    assert outcome == NotSent("2 requests wait or are under way already")


async def test_cancelled_requests_and_waiters_leave_every_place_free(raw_server, http_reply, session_of, until):
    is_silent = True

    async def answer(request, writer):
        if is_silent:
            await anyio.Event().wait()
        writer.write(http_reply(b"ok"))

    server = await raw_server(answer)
    async with session_of(server, concurrent_max=2) as session:
        for _ in range(5):
            seen = len(server.requests)
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(session.send, GET)
                await until(lambda seen=seen: len(server.requests) == seen + 2)
                tasks.cancel_scope.cancel()
        is_silent = False

        outcomes = [await session.send(GET) for _ in range(4)]

        assert [outcome.body for outcome in outcomes] == [b"ok"] * 4
        assert session.under_way == 0


async def test_a_connection_is_used_again(answering, session_of):
    server = await answering(b"ok")

    async with session_of(server) as session:
        for _ in range(3):
            await session.send(GET)

    assert (len(server.requests), len(server.writers)) == (3, 1)


async def test_a_proxy_in_the_environment_is_ignored(answering, session_of, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    server = await answering(b"ok")

    async with session_of(server) as session:
        outcome = await session.send(GET)

    assert outcome.body == b"ok"


async def test_a_proxy_sees_the_host_of_an_encrypted_request_and_nothing_else(raw_server, time):
    async def refuse(request, writer):
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return "close"

    proxy = await raw_server(refuse)
    async with HttpSession("https://api.example.com", timing=time.timing, proxy=proxy.url) as session:
        outcome = await session.send(ORDER)

    assert outcome == NotSent("ProxyError")
    assert [request.split(b"\r\n")[0] for request in proxy.requests] == [b"CONNECT api.example.com:443 HTTP/1.1"]
    assert b"5ec4e7" not in b"".join(proxy.requests)


async def test_a_server_that_does_not_speak_tls_sees_nothing_of_the_request(time):
    seen = bytearray()

    async def serve(reader, writer):
        seen.extend(await reader.read(4096))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, HttpSession(address, timing=time.timing, ssl_context=ssl.create_default_context()) as session:
        outcome = await session.send(ORDER)

    assert outcome == NotSent("ConnectError")
    assert seen
    assert b"5ec4e7" not in seen
    assert b"/api/v3" not in seen


async def test_no_secret_shows_in_logs_reprs_or_outcomes(raw_server, http_reply, session_of, caplog, time):
    caplog.set_level(logging.DEBUG)
    answers = iter([http_reply(b"5ec4e7answer", headers=("X-Set: 5ec4e7header",)), b"5ec4e7 garbage\r\n\r\n"])

    async def answer(request, writer):
        writer.write(next(answers))
        return "close"

    shown = [repr(ORDER)]
    async with session_of(await raw_server(answer)) as session:
        for _ in range(2):
            outcome = await session.send(ORDER)
            shown += [repr(outcome), str(outcome), repr(session)]
    with pytest.raises(DomainError) as caught:
        HttpRequest("GET", b"/a?signature=5ec4e7 ")
    shown += [str(caught.value), repr(caught.value)]

    shown += [str(vars(record)) + record.getMessage() for record in caplog.records]
    assert "POST /api/v3/order" in shown[0]
    assert [text for text in shown if "5ec4e7" in text] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"target": b"api"}, "expected an encoded target"),
        ({"target": b"/a b"}, "expected an encoded target"),
        ({"target": "/é".encode()}, "expected an encoded target"),
        ({"target": b"/a\r\nX: y"}, "expected an encoded target"),
        ({"target": b"/a", "headers": (("X", "a\r\nY: b"),)}, "expected headers without line breaks"),
    ],
    ids=["relative", "space", "beyond-ascii", "line-break", "header-line-break"],
)
def test_a_request_that_cannot_be_sent_as_it_is_is_refused(options, problem):
    with pytest.raises(DomainError, match=problem):
        HttpRequest("GET", **options)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.example.com", "expected https, was http"),
        ("https://api.example.com/v5", "expected scheme, host and port alone"),
        ("https://api.example.com?key=5ec4e7", "expected scheme, host and port alone"),
    ],
)
def test_a_session_with_an_unsafe_address_is_refused(time, url, problem):
    with pytest.raises(DomainError, match=problem) as caught:
        HttpSession(url, timing=time.timing)

    assert "5ec4e7" not in str(caught.value)


@pytest.mark.parametrize(
    "limits", [{"total_s": 0}, {"concurrent_max": 0}, {"read_s": float("nan")}, {"waiting_max": -1}]
)
def test_bounds_that_are_not_positive_are_refused(limits):
    with pytest.raises(DomainError, match="HTTP limits: expected positive bounds"):
        HttpLimits(**limits)


async def collect(session, request, outcomes, **options):
    outcomes.append(await session.send(request, **options))
