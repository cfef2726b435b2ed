"""A name leads to the public network or, where that is meant, to this machine and its own network; never elsewhere."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import threading

import pytest

from mmframe.errors import DomainError
from mmframe.net.address import AddressGuard, problem_of, resolve_by_system
from mmframe.net.http import HttpSession
from mmframe.net.request import Answer, HttpRequest, NotSent

PUBLIC = "93.184.216.34"
GET = HttpRequest("GET", b"/v1/models")


def resolving(*addresses):
    """Return a resolver that knows one answer, and the questions that it was asked."""
    asked = []

    async def resolve(host, port):
        asked.append((host, port))
        if not addresses:
            raise OSError(-2, "unknown host")
        return addresses

    return resolve, asked


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are_no_problem(address):
    assert problem_of(address, allows_private=False) == ""


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "::ffff:192.168.1.1",
        "64:ff9b::a00:1",
        "2002:c0a8:101::1",
    ],
)
def test_the_local_network_has_to_be_meant(address):
    assert problem_of(address, allows_private=False) == "a private address"
    assert problem_of(address, allows_private=True) == ""


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("169.254.169.254", "a metadata service"),
        ("::ffff:169.254.169.254", "a metadata service"),
        ("64:ff9b::a9fe:a9fe", "a metadata service"),
        ("100.100.100.200", "a metadata service"),
        ("fd00:ec2::254", "a metadata service"),
        ("169.254.0.1", "a link-local address"),
        ("fe80::1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("224.0.0.1", "an address that is not of the public network"),
        ("ff02::1", "an address that is not of the public network"),
        ("0.0.0.0", "an address that is not of the public network"),
        ("::", "an address that is not of the public network"),
        ("::7f00:1", "an address that is not of the public network"),
        ("255.255.255.255", "an address that is not of the public network"),
        ("192.0.2.1", "an address that is not of the public network"),
        ("198.18.0.1", "an address that is not of the public network"),
        ("2130706433", "not an address"),
        ("model.example", "not an address"),
    ],
)
@pytest.mark.parametrize("allows_private", [False, True])
def test_some_places_are_never_meant(address, problem, allows_private):
    assert problem_of(address, allows_private=allows_private) == problem


async def test_a_name_is_judged_by_every_address_that_it_has():
    resolve, asked = resolving(PUBLIC, "10.0.0.1")

    with pytest.raises(DomainError) as caught:
        await AddressGuard(resolve=resolve).addresses("model.example", 443)

    assert caught.value.message == "host model.example: resolves to 10.0.0.1, a private address"
    assert asked == [("model.example", 443)]
    allowing = AddressGuard(allows_private=True, resolve=resolve)
    assert await allowing.addresses("model.example", 443) == (PUBLIC, "10.0.0.1")


async def test_an_address_is_judged_without_being_looked_up():
    resolve, asked = resolving(PUBLIC)

    with pytest.raises(DomainError, match=r"host 192\.168\.0\.9: resolves to 192\.168\.0\.9, a private address"):
        await AddressGuard(resolve=resolve).addresses("192.168.0.9", 443)

    assert asked == []


async def test_loopback_is_allowed_when_it_is_written_and_only_to_loopback():
    assert await AddressGuard().addresses("127.0.0.1", 80) == ("127.0.0.1",)
    assert await AddressGuard(resolve=resolving("::1", "127.0.0.1")[0]).addresses("localhost", 80) == (
        "::1",
        "127.0.0.1",
    )

    with pytest.raises(DomainError, match=r"localhost: resolves to 93\.184\.216\.34, not this machine"):
        await AddressGuard(resolve=resolving(PUBLIC)[0]).addresses("localhost", 80)


async def test_more_addresses_than_a_server_has_are_refused():
    many = [f"1.1.1.{number}" for number in range(17)]

    with pytest.raises(DomainError, match="expected at most 16 addresses, was 17"):
        await AddressGuard(resolve=resolving(*many)[0]).addresses("model.example", 443)


async def test_the_system_resolves_this_machine():
    assert set(await resolve_by_system("localhost", 80)) <= {"127.0.0.1", "::1"}


@pytest.fixture
async def local(raw_server, http_reply):
    """Return a server that answers everything alike."""

    async def answer(request, writer):
        writer.write(http_reply(b"ok"))

    return await raw_server(answer)


async def test_a_refused_host_is_final_and_no_byte_leaves(local, time):
    guard = AddressGuard(resolve=resolving("127.0.0.1")[0])

    async with HttpSession(f"https://model.example:{local.port}", timing=time.timing, guard=guard) as session:
        outcome = await session.send(GET)

    assert outcome == NotSent("host model.example: resolves to 127.0.0.1, a private address", is_final=True)
    assert local.writers == []


async def test_a_host_that_is_not_found_may_be_found_next_time(time):
    async with HttpSession(
        "https://model.example", timing=time.timing, guard=AddressGuard(resolve=resolving()[0])
    ) as session:
        outcome = await session.send(GET)

    assert outcome == NotSent("OSError")


async def test_the_request_goes_to_the_judged_address_in_the_name_of_the_host(local, time):
    resolve, asked = resolving("127.0.0.1")

    async with HttpSession(
        f"http://localhost:{local.port}", timing=time.timing, guard=AddressGuard(resolve=resolve)
    ) as session:
        outcomes = [await session.send(GET) for _ in range(2)]

    assert [outcome.body for outcome in outcomes] == [b"ok", b"ok"]
    assert f"host: localhost:{local.port}".encode() in local.requests[0].lower()
    assert asked == [("localhost", local.port)] * 2
    assert len(local.writers) == 1


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(local, time):
    guard = AddressGuard(resolve=resolving("127.0.0.2", "127.0.0.1")[0])

    async with HttpSession(f"http://localhost:{local.port}", timing=time.timing, guard=guard) as session:
        outcome = await session.send(GET)

    assert isinstance(outcome, Answer)
    assert len(local.requests) == 1


async def test_the_next_address_is_not_tried_once_a_byte_may_have_left(raw_server, time):
    async def answer(request, writer):
        return "close"

    server = await raw_server(answer)
    guard = AddressGuard(resolve=resolving("127.0.0.1", "127.0.0.1")[0])

    async with HttpSession(f"http://localhost:{server.port}", timing=time.timing, guard=guard) as session:
        await session.send(GET)

    assert len(server.requests) == 1


@pytest.mark.parametrize("certified", ["model.example", "other.example"])
async def test_the_certificate_is_the_names_and_not_the_addresss(tmp_path, time, certified):
    files = certificate(tmp_path, certified)
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=files[0])
    guard = AddressGuard(allows_private=True, resolve=resolving("127.0.0.1")[0])

    async with (
        server,
        HttpSession(f"https://model.example:{port}", timing=time.timing, guard=guard, ssl_context=trusting) as session,
    ):
        outcome = await session.send(GET)

    assert names == ["model.example"]
    if certified == "model.example":
        assert outcome.body == b"ok"
    else:
        assert outcome == NotSent("ConnectError")


def test_a_guard_and_a_proxy_are_refused(time):
    with pytest.raises(DomainError, match="expected no proxy where addresses are judged"):
        HttpSession("https://a.example", timing=time.timing, proxy="http://127.0.0.1:1", guard=AddressGuard())


def certificate(folder, name):
    """Return the files of a certificate for `name` that vouches for itself, and of its key."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(chain), str(private)


async def test_looking_a_name_up_keeps_no_process_from_ending(monkeypatch):
    # The system may look for half a minute; the interpreter waits for every thread that is no daemon.
    seen = []

    def look_up(*arguments, **named):
        seen.append(threading.current_thread().daemon)
        return [(None, None, None, "", ("192.0.2.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    assert await resolve_by_system("host.example", 443) == ["192.0.2.1"]
    assert seen == [True]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "no name"), UnicodeError("label too long")])
async def test_a_name_without_addresses_is_an_os_error(monkeypatch, error):
    def look_up(*arguments, **named):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    with pytest.raises(OSError, match="name"):
        await resolve_by_system("host.example", 443)
