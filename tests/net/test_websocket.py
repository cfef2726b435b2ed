"""The life of a session, against real websocket servers on loopback, on time that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random

import anyio
import pytest
from websockets.asyncio.server import serve

from mmframe.errors import DomainError, VenueError
from mmframe.net.backoff import Backoff
from mmframe.net.request import NotSent, OutcomeUnknown, Reply
from mmframe.net.websocket import (
    Connected,
    Disconnected,
    Frame,
    Overflow,
    ProtocolPings,
    Retired,
    ServerPings,
    SubscriptionError,
    TextPings,
    WebsocketLimits,
    WebsocketSession,
)

NEVER = {"open_s": 1e6, "subscribe_s": 1e6, "silence_s": 1e6, "renew_after_s": 1e6}
"""Bounds that no test reaches by letting time pass, unless it sets them."""


class Server:
    """A venue's socket: holds its connections, remembers what it was told and answers as the test says."""

    def __init__(self):
        self.connections = []
        self.paths = []
        self.headers = []
        self.received = []
        self.answer = None
        self.refusals = []
        self.port = 0

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    async def start(self):
        self._serving = await serve(
            self._handle, "127.0.0.1", self.port, ping_interval=None, process_request=self._admit, close_timeout=0.1
        )
        self.port = self._serving.sockets[0].getsockname()[1]

    async def stop(self):
        self._serving.close()
        for connection in self.connections:
            connection.transport.abort()
        await self._serving.wait_closed()

    def _admit(self, connection, request):
        self.paths.append(request.path)
        self.headers.append({name.lower() for name, _ in request.headers.raw_items()})
        if not self.refusals:
            return None
        status, headers = self.refusals.pop(0)
        response = connection.respond(status, "no\n")
        response.headers.update(headers)
        return response

    async def _handle(self, connection):
        self.connections.append(connection)
        with contextlib.suppress(Exception):
            async for message in connection:
                self.received.append(message)
                if self.answer is not None:
                    await self.answer(connection, message)


@pytest.fixture
async def server():
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def session_of(server, time):
    """Return a function that makes a session with the server; it subscribes to nothing unless told."""

    async def nothing(connection):
        pass

    def make(*, url=None, subscribe=nothing, limits=None, **options):
        return WebsocketSession(
            url or server.url,
            subscribe=subscribe,
            timing=time.timing,
            randomness=random.Random(7),
            limits=WebsocketLimits(**{**NEVER, **(limits or {})}),
            **options,
        )

    return make


@contextlib.asynccontextmanager
async def running(session):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        yield
        tasks.cancel_scope.cancel()


@pytest.fixture
def follow(until):
    """Return a function that gathers a session's events until there are `count`, or until one is of a type."""

    async def gather(session, wanted, events=None):
        events = [] if events is None else events

        def is_done():
            events.extend(session.poll())
            return len(events) >= wanted if isinstance(wanted, int) else any(type(e) is wanted for e in events)

        await until(is_done)
        return events

    return gather


async def test_frames_arrive_in_order_with_time_and_generation(server, session_of, follow, time):
    session = session_of()

    async with running(session):
        events = await follow(session, Connected)
        for text in ("a", b"\x00b", "é"):
            await server.connections[0].send(text)
        await follow(session, 4, events)

    now_ns = time.now_ns
    assert events == [
        Connected(1),
        Frame(b"a", now_ns, 1),
        Frame(b"\x00b", now_ns, 1),
        Frame("é".encode(), now_ns, 1),
    ]


async def test_an_owner_with_a_task_of_its_own_waits_for_events(server, session_of):
    session = session_of()

    async with running(session):
        with anyio.fail_after(5):
            first = await session.receive()
            await server.connections[0].send("a")
            second = await session.receive()

    assert [type(event) for event in first + second] == [Connected, Frame]


async def test_a_driver_is_told_of_each_event(server, session_of, until):
    session, calls = session_of(), []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, lambda: calls.append(1))
        await until(lambda: server.connections and len(calls) == 1)
        await server.connections[0].send("a")
        await until(lambda: len(calls) == 2)
        tasks.cancel_scope.cancel()


async def abort(connection):
    connection.transport.abort()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda connection: connection.close(1012, "restart"), Disconnected(1, "restart", 1012)),
        (lambda connection: connection.close(1000), Disconnected(1, "closed without a reason", 1000)),
        (lambda connection: connection.close(4001, "a\nb\x1b["), Disconnected(1, "a?b?[", 4001)),
        (abort, Disconnected(1, "closed without a reason", 1006)),
    ],
    ids=["code-and-reason", "normal", "unprintable", "cut"],
)
async def test_a_lost_connection_is_told_with_its_code_and_replaced(
    server, session_of, follow, pass_until, end, expected
):
    session = session_of()

    async with running(session):
        events = await follow(session, Connected)
        await end(server.connections[0])
        await follow(session, Disconnected, events)
        assert session.connection is None
        await pass_until(lambda: session.connection is not None)
        await follow(session, 3, events)

    assert events == [Connected(1), expected, Connected(2)]


async def test_it_tries_for_ever_and_logs_one_line_per_loss_and_per_return(
    server, session_of, follow, time, until, pass_until, caplog
):
    caplog.set_level(logging.INFO, "mmframe.net")
    backoff = Backoff(random.Random(7), base_s=1, cap_s=30)
    session = session_of(backoff=backoff)

    async with running(session):
        await follow(session, Connected)
        await server.stop()
        await follow(session, Disconnected)
        tries = 0
        while tries < 40:
            await until(lambda: time.waits_s and time.waits_s[0] <= 30)
            await time.advance(time.waits_s[0])
            tries += 1
        await server.start()
        await pass_until(lambda: session.connection is not None)

    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [("INFO", "websocket_up"), ("WARNING", "websocket_lost"), ("INFO", "websocket_up")]
    assert caplog.records[1].close_code == 1006
    assert caplog.records[2].attempts >= 30
    assert caplog.records[2].outage_s > 30


async def test_a_connection_that_is_cut_at_once_each_time_is_not_circled(server, session_of, pass_until):
    async def cut(connection):
        server.connections[-1].transport.abort()

    session = session_of(subscribe=cut, backoff=Backoff(random.Random(7), base_s=1, cap_s=64))

    async with running(session):
        await pass_until(lambda: len(server.connections) == 8, step_s=8)
        ceiling_s = session._backoff.ceiling_s

    assert ceiling_s == 64


async def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(server, session_of, time, until):
    server.refusals = [(429, {"Retry-After": "600"})]
    session = session_of()

    async with running(session):
        await until(lambda: time.waits_s == [600])
        await time.advance(600)
        await until(lambda: session.connection is not None)

    assert len(server.paths) == 2


async def test_a_server_that_does_not_finish_the_handshake_is_given_up(raw_server, session_of, time, until):
    async def answer(request, writer):
        await anyio.Event().wait()

    server = await raw_server(answer)
    session = session_of(url=server.url.replace("http", "ws"), limits={"open_s": 10})

    async with running(session):
        await until(lambda: len(server.requests) == 1)
        assert time.waits_s == [10]
        await time.advance(10)
        await until(lambda: time.waits_s and time.waits_s[0] < 1)
        await time.advance(1)
        await until(lambda: len(server.requests) == 2)


async def test_a_redirect_is_not_followed(server, session_of, time, until):
    server.refusals = [(302, {"Location": "/elsewhere"})]
    session = session_of()

    async with running(session):
        await until(lambda: server.paths and time.waits_s and time.waits_s[0] < 1)
        assert server.paths == ["/"]
        assert session._generation == 0


@pytest.mark.parametrize("pings", [ServerPings(), ProtocolPings(interval_s=1000)], ids=["server", "protocol"])
async def test_silence_ends_a_connection_whose_peer_is_gone(server, session_of, follow, time, pings):
    session = session_of(limits={"silence_s": 60}, pings=pings)

    async with running(session):
        events = await follow(session, Connected)
        server.connections[0].transport.pause_reading()
        await time.advance(59.9)
        assert session.poll() == []
        await time.advance(0.1)
        await follow(session, Disconnected, events)

    assert events[1] == Disconnected(1, "no frame for 60 s", 1006)


async def test_pings_of_the_server_are_signs_of_life(server, session_of, follow, time):
    session = session_of(limits={"silence_s": 60})

    async with running(session):
        await follow(session, Connected)
        for _ in range(5):
            await time.advance(50)
            await (await server.connections[0].ping())
        await time.advance(59)

        assert session.connection is not None
        assert session.poll() == []


async def test_text_pings_are_sent_and_their_pongs_kept_from_the_owner(server, session_of, follow, time, until):
    async def pong(connection, message):
        await connection.send("data")
        await connection.send(message.replace("ping", "pong"))

    server.answer = pong
    pings = TextPings(
        text=lambda n: f'{{"op":"ping","req_id":"p{n}"}}', is_pong=lambda data: b"pong" in data, interval_s=20
    )
    session = session_of(pings=pings)

    async with running(session):
        events = await follow(session, Connected)
        for count in (1, 2, 3):
            await time.advance(20)
            await until(lambda count=count: len(server.received) == count)
            await follow(session, 1 + count, events)
        await until(lambda: session._active._pong is None)
        await server.connections[0].send("pong that nobody awaits")
        await follow(session, 5, events)

    assert server.received == [
        '{"op":"ping","req_id":"p1"}',
        '{"op":"ping","req_id":"p2"}',
        '{"op":"ping","req_id":"p3"}',
    ]
    assert [event.data for event in events[1:]] == [b"data"] * 3 + [b"pong that nobody awaits"]


@pytest.mark.parametrize(
    "pings",
    [
        TextPings(text=lambda n: "ping", is_pong=lambda data: data == b"pong", interval_s=20, pong_within_s=10),
        ProtocolPings(interval_s=20, pong_within_s=10),
    ],
    ids=["text", "protocol"],
)
async def test_a_ping_without_pong_ends_the_connection(server, session_of, follow, time, pings):
    session = session_of(pings=pings)

    async with running(session):
        events = await follow(session, Connected)
        server.connections[0].transport.pause_reading()
        await time.advance(29.9)
        assert session.poll() == []
        await time.advance(0.1)
        await follow(session, Disconnected, events)

    assert events[1] == Disconnected(1, "no pong within 10 s", 1006)


async def test_protocol_pings_that_are_answered_keep_the_connection(server, session_of, follow, time, until):
    session = session_of(pings=ProtocolPings(interval_s=20, pong_within_s=10), limits={"silence_s": 45})

    async with running(session):
        await follow(session, Connected)
        await until(lambda: session.connection is not None)
        for _ in range(10):
            before_ns = session._active._wire.last_frame_ns
            await time.advance(20)
            await until(lambda before_ns=before_ns: session._active._wire.last_frame_ns > before_ns)

        assert session.poll() == []


async def test_a_frame_over_the_bound_ends_the_connection(server, session_of, follow):
    session = session_of(limits={"frame_bytes_max": 1000})

    async with running(session):
        events = await follow(session, Connected)
        await server.connections[0].send("x" * 1000)
        with contextlib.suppress(Exception):
            await server.connections[0].send("x" * 1001)
        await follow(session, Disconnected, events)

    assert [type(event) for event in events] == [Connected, Frame, Disconnected]
    assert events[2].close_code == 1009


@pytest.mark.parametrize("limits", [{"queue_frames_max": 3}, {"queue_bytes_max": 3}], ids=["frames", "bytes"])
async def test_a_full_queue_drops_counts_and_marks_the_place(server, session_of, follow, until, limits):
    session = session_of(limits=limits)

    async with running(session):
        events = await follow(session, Connected)
        for number in range(8):
            await server.connections[0].send(str(number))
        await until(lambda: session.dropped_frames == 5)
        await follow(session, 5, events)
        await server.connections[0].send("8")
        await follow(session, 6, events)

    assert [event.data if type(event) is Frame else event for event in events] == [
        Connected(1),
        b"0",
        b"1",
        b"2",
        Overflow(5),
        b"8",
    ]


def reply_id(data):
    name, _, number = data.partition(b":")
    return int(number) if name == b"reply" else None


async def test_answers_find_their_requests_in_any_order(server, session_of, follow, time, until):
    held = []

    async def answer(connection, message):
        held.append(message)
        if len(held) == 3:
            await connection.send("data")
            for number in reversed(held):
                await connection.send(f"reply:{number}")

    server.answer = answer
    session, replies = session_of(reply_id=reply_id), {}

    async def ask(number):
        replies[number] = await session.request(str(number), number, within_s=5)

    async with running(session):
        events = await follow(session, Connected)
        await until(lambda: session.connection is not None)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(ask, number)
        await follow(session, 2, events)

    assert replies == {number: Reply(f"reply:{number}".encode(), time.now_ns) for number in range(3)}
    assert events[1].data == b"data"


async def test_a_request_without_answer_has_an_unknown_outcome_and_its_late_answer_is_a_frame(
    server, session_of, follow, time, until
):
    session, outcomes = session_of(reply_id=reply_id), []

    async def ask():
        outcomes.append(await session.request("place", 1, within_s=5))

    async with running(session):
        events = await follow(session, Connected)
        await until(lambda: session.connection is not None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: server.received == ["place"])
            await time.advance(5)
            await until(lambda: outcomes)
        await server.connections[0].send("reply:1")
        await follow(session, 2, events)

    assert outcomes == [OutcomeUnknown("no answer within 5 s")]
    assert events[1].data == b"reply:1"


async def test_a_request_on_a_lost_connection_has_an_unknown_outcome_and_without_one_was_not_sent(
    server, session_of, until
):
    session, outcomes = session_of(reply_id=reply_id), []

    async def cut(connection, message):
        connection.transport.abort()

    server.answer = cut
    async with running(session):
        await until(lambda: session.connection is not None)
        outcomes.append(await session.request("place", 1, within_s=5))
        outcomes.append(await session.request("place", 1, within_s=5))
        with pytest.raises(SubscriptionError, match="not connected"):
            await session.send("anything")

    assert outcomes == [OutcomeUnknown("the connection was lost before the answer"), NotSent("not connected")]


async def test_an_id_in_use_is_refused(server, session_of, until):
    session = session_of(reply_id=reply_id)

    async with running(session), anyio.create_task_group() as tasks:
        await until(lambda: session.connection is not None)
        tasks.start_soon(lambda: session.request("a", 1, within_s=5))
        await until(lambda: server.received)
        with pytest.raises(DomainError, match="request id 1: expected one that is not in use"):
            await session.request("b", 1, within_s=5)
        tasks.cancel_scope.cancel()


async def test_a_peer_that_reads_nothing_does_not_hold_the_sender(server, session_of, time, until):
    session, errors = session_of(limits={"send_s": 5}), []

    async def flood():
        try:
            while True:
                await session.send("x" * 1_000_000)
        except SubscriptionError as error:
            errors.append(error.message)

    async with running(session):
        await until(lambda: session.connection is not None)
        server.connections[0].transport.pause_reading()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            # Once the buffers are full only the sender's own limit is left to end it.
            await until(lambda: session._active._wire.paused)
            await time.advance(5)
            await until(lambda: errors)

    assert errors == ["connection 1: a frame did not leave within 5 s"]


async def test_a_subscription_that_is_not_taken_is_tried_again_on_a_new_connection(server, session_of, pass_until):
    async def subscribe(connection):
        outcome = await connection.request("subscribe", connection.generation, within_s=5)
        if outcome.data == b"reply:1":
            msg = "the venue said no"
            raise SubscriptionError(msg)

    async def answer(connection, message):
        await connection.send(f"reply:{len(server.connections)}")

    server.answer = answer
    session = session_of(subscribe=subscribe, reply_id=reply_id)

    async with running(session):
        await pass_until(lambda: session.connection is not None)

    assert [type(event) for event in session.poll()] == [Connected, Disconnected, Connected]


async def test_an_owner_that_never_finishes_subscribing_is_given_up(server, session_of, follow, time):
    async def hang(connection):
        await anyio.Event().wait()

    session = session_of(subscribe=hang, limits={"subscribe_s": 30})

    async with running(session):
        events = await follow(session, Connected)
        await time.advance(30)
        await follow(session, Disconnected, events)

    assert events[1] == Disconnected(1, "not subscribed", 1006)


async def test_a_refused_key_ends_the_session_with_the_owners_own_error(server, session_of, until):
    async def refuse(connection):
        msg = "the key is not known"
        raise VenueError(msg)

    with pytest.raises(VenueError, match="the key is not known"):
        await session_of(subscribe=refuse).run()

    await until(lambda: server.connections[0].close_code is not None)


def broadcasting(server, until):
    """Return a function that sends numbers to every open connection, as a venue's stream does."""

    async def send(numbers):
        for number in numbers:
            for connection in server.connections:
                with contextlib.suppress(Exception):
                    await connection.send(str(number))

    return send


@pytest.mark.parametrize("trigger", ["request", "age"])
async def test_a_renewal_loses_no_frame(server, session_of, follow, time, until, pass_until, trigger):
    session, events = session_of(limits={"renew_after_s": 3600, "overlap_s": 2}), []
    broadcast = broadcasting(server, until)

    async with running(session):
        await until(lambda: session.connection is not None)
        await broadcast(range(10))
        if trigger == "request":
            session.renew(1)
        else:
            await time.advance(3600)
        await pass_until(lambda: session._generation == 2)
        assert session.connection.generation == 1
        await time.advance(500)
        assert session.connection.generation == 1
        await broadcast(range(10, 20))
        await until(lambda: session.connection.generation == 2)
        await broadcast(range(20, 30))
        await time.advance(1.9)
        assert Retired(1) not in (await follow(session, 1, events))
        await time.advance(0.1)
        await follow(session, Retired, events)
        await broadcast(range(30, 40))
        await until(lambda: events.extend(session.poll()) or getattr(events[-1], "data", b"") == b"39")

    numbers = [int(event.data) for event in events if type(event) is Frame]
    firsts = list(dict.fromkeys(numbers))
    assert firsts == list(range(40))
    assert [event for event in events if type(event) is not Frame] == [Connected(1), Connected(2), Retired(1)]
    assert server.connections[0].close_code == 1000


async def test_a_renewal_that_fails_leaves_the_old_connection_alone(server, session_of, until, pass_until, caplog):
    caplog.set_level(logging.INFO, "mmframe.net")
    session = session_of()

    async with running(session):
        await until(lambda: session.connection is not None)
        server.refusals = [(503, {})] * 3
        session.renew()
        await pass_until(lambda: not server.refusals)
        assert session.connection.generation == 1
        await server.connections[0].send("still here")
        await until(lambda: any(type(event) is Frame for event in session.poll()))
        await pass_until(lambda: len(server.connections) == 2)
        await server.connections[1].send("a")
        await until(lambda: session.connection.generation == 2)

    names = [record.getMessage() for record in caplog.records]
    assert names == ["websocket_up", "websocket_renewal_failed", "websocket_up"]


async def test_the_loss_of_the_old_connection_does_not_wait_for_the_new_ones_first_frame(
    server, session_of, follow, until, pass_until, caplog
):
    session = session_of()

    async with running(session):
        await until(lambda: session.connection is not None)
        session.renew()
        await pass_until(lambda: session._generation == 2)
        await abort(server.connections[0])
        await until(lambda: session.connection is not None and session.connection.generation == 2)
        events = await follow(session, 3)

    assert events == [Connected(1), Connected(2), Disconnected(1, "closed without a reason", 1006)]
    assert [record.getMessage() for record in caplog.records] == ["websocket_lost"]


async def test_the_announcement_of_an_older_connections_end_renews_nothing(server, session_of, time, until):
    session = session_of()

    async with running(session):
        await until(lambda: session.connection is not None)
        session.renew(0)
        await time.advance(1000)

    assert session._generation == 1


async def test_a_session_that_cannot_be_trusted_is_reconnected(server, session_of, follow, pass_until):
    session = session_of()

    async with running(session):
        events = await follow(session, Connected)
        session.reconnect("crossed book")
        await follow(session, Disconnected, events)
        await pass_until(lambda: session.connection is not None)
        await follow(session, 3, events)

    assert events == [Connected(1), Disconnected(1, "crossed book", 1006), Connected(2)]


async def test_during_a_renewal_only_the_connection_that_is_named_is_dropped(
    server, session_of, follow, until, pass_until
):
    session = session_of()

    async with running(session):
        await until(lambda: session.connection is not None)
        session.renew()
        await pass_until(lambda: session._generation == 2)
        session.reconnect("a gap", 2)
        session.reconnect("long gone", 0)
        events = await follow(session, Disconnected)

        assert events == [Connected(1), Connected(2), Disconnected(2, "a gap", 1006)]
        assert session.connection.generation == 1


async def test_each_connection_asks_for_its_own_address(server, session_of, until, pass_until):
    keys = iter(["first", "second"])

    async def address():
        return f"{server.url}/ws/{next(keys)}"

    session = session_of(url=address)

    async with running(session):
        await until(lambda: session.connection is not None)
        session.reconnect("key expired")
        await pass_until(lambda: session.connection is not None)

    assert server.paths == ["/ws/first", "/ws/second"]


async def test_cancellation_closes_the_socket_and_leaves_no_task(server, session_of, until, caplog):
    before = asyncio.all_tasks()
    session = session_of(pings=ProtocolPings())

    async with running(session):
        await until(lambda: session.connection is not None)
        inside = asyncio.all_tasks() - before
    await until(lambda: server.connections[0].close_code is not None)
    await until(lambda: all(task.done() for task in inside if "Server" not in repr(task)))

    assert server.connections[0].close_code == 1000
    assert session.connection is None
    assert caplog.records == []


async def test_cancellation_does_not_wait_for_a_peer_that_is_gone(server, session_of, time, until):
    session = session_of(limits={"close_s": 1})
    is_over = []

    async with anyio.create_task_group() as tasks:

        async def run():
            try:
                await session.run()
            finally:
                is_over.append(True)

        tasks.start_soon(run)
        await until(lambda: session.connection is not None)
        server.connections[0].transport.pause_reading()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await time.advance(1)
            await until(lambda: is_over)


async def test_neither_compression_nor_a_proxy_of_the_environment_is_used(server, session_of, until, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SOCKS_PROXY", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    session = session_of()

    async with running(session):
        await until(lambda: session.connection is not None)

    assert "sec-websocket-extensions" not in server.headers[0]


async def test_no_secret_shows_in_logs_reprs_or_events(server, session_of, pass_until, caplog):
    caplog.set_level(logging.DEBUG)
    server.refusals = [(401, {"X-Echo": "5ec4e7header"})]
    shown = []

    async def login(connection):
        shown.append(repr(connection))
        await connection.request("5ec4e7 login", "5ec4e7 id", within_s=1e6)
        await connection.send("5ec4e7 subscribe")

    async def answer(connection, message):
        await connection.close(1008, "refused")

    server.answer = answer
    session = session_of(url=f"{server.url}/ws/5ec4e7?signature=5ec4e7", subscribe=login)
    async with running(session):
        await pass_until(lambda: len(server.connections) == 3)
        shown += [repr(session), *(repr(event) for event in session.poll())]

    own = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    shown += [str(vars(record)) + record.getMessage() for record in own]
    assert len(server.received) >= 2
    assert any("Disconnected" in text for text in shown)
    assert any("websocket_lost" in text and server.url in text for text in shown)
    assert [text for text in shown if "5ec4e7" in text] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "ws://stream.example.com/5ec4e7"}, "expected wss, was ws"),
        ({"url": "https://stream.example.com/5ec4e7"}, "expected wss://host"),
        ({"proxy": "socks5://u:5ec4e7@127.0.0.1"}, "proxy: expected an address"),
    ],
    ids=["plain", "scheme", "proxy"],
)
async def test_unsafe_addresses_are_refused_at_once(session_of, options, problem):
    with pytest.raises(DomainError, match=problem) as caught:
        session_of(**options)

    assert "5ec4e7" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"silence_s": 0}, {"overlap_s": -1}, {"queue_frames_max": 0}])
def test_bounds_that_are_not_positive_are_refused(limits):
    with pytest.raises(DomainError, match="websocket limits: expected positive bounds"):
        WebsocketLimits(**limits)
