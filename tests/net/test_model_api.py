"""What all model APIs share: statuses, waits, counts, what may be shown, where a base address may lead."""

from __future__ import annotations

import pytest

from mmframe.domain.advice import ReplyStatus, Usage
from mmframe.errors import DomainError
from mmframe.net.model_api import (
    ModelApi,
    Resets,
    encodable,
    estimated_tokens,
    require_model_url,
    shown,
    status_of,
    token_count,
    wait_ns,
)
from mmframe.plugin import Secret

NOW_NS = 1_700_000_000_000_000_000
KEY = "sk-canary-0001"


@pytest.mark.parametrize(
    ("http_status", "status"),
    [
        (200, ReplyStatus.OK),
        (302, ReplyStatus.CONFIG),
        (400, ReplyStatus.CONFIG),
        (401, ReplyStatus.CONFIG),
        (402, ReplyStatus.QUOTA),
        (403, ReplyStatus.CONFIG),
        (404, ReplyStatus.CONFIG),
        (408, ReplyStatus.UNAVAILABLE),
        (409, ReplyStatus.UNAVAILABLE),
        (413, ReplyStatus.CONFIG),
        (422, ReplyStatus.CONFIG),
        (429, ReplyStatus.RATE_LIMITED),
        (500, ReplyStatus.UNAVAILABLE),
        (503, ReplyStatus.UNAVAILABLE),
        (529, ReplyStatus.RATE_LIMITED),
    ],
)
def test_a_status_says_what_to_do(http_status, status):
    assert status_of(http_status) is status


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:00 GMT"}, 40),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "9" * 5000}, 3 * 86_400),
        ({"retry-after-ms": "9" * 5000}, 0),
        ({"retry-after-ms": "nan"}, 0),
    ],
)
def test_a_wait_is_read_in_each_form(headers, wait_s):
    assert wait_ns(headers, NOW_NS) == round(wait_s * 1e9)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("12ms", 0.012),
        ("1.5s", 1.5),
        ("6m0s", 360),
        ("1h2m3s", 3723),
        ("1m30s", 90),
        ("2d", 172_800),
        ("9d", 3 * 86_400),
        ("soon", 0),
        ("", 0),
        ("5", 0),
    ],
)
def test_a_reset_that_is_a_duration_counts_where_nothing_is_left(text, wait_s):
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text}
    left = {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": text}

    assert wait_ns(headers, NOW_NS, resets=Resets.DURATIONS) == round(wait_s * 1e9)
    assert wait_ns(left, NOW_NS, resets=Resets.DURATIONS) == 0
    assert wait_ns(headers, NOW_NS) == 0
    assert wait_ns(headers | {"retry-after": "1"}, NOW_NS, resets=Resets.DURATIONS) == 1_000_000_000


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("2023-11-14T22:14:00Z", 40),
        ("2023-11-14T23:14:00+01:00", 40),
        ("2023-11-14T22:14:00", 40),
        ("2020-01-01T00:00:00Z", 0),
        ("2100-01-01T00:00:00Z", 3 * 86_400),
        ("soon", 0),
    ],
)
def test_a_reset_that_is_an_instant_counts_from_now(text, wait_s):
    headers = {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": text,
        "anthropic-ratelimit-requests-remaining": "9",
        "anthropic-ratelimit-requests-reset": "2024-01-01T00:00:00Z",
    }

    assert wait_ns(headers, NOW_NS, resets=Resets.INSTANTS) == pytest.approx(wait_s * 1e9, abs=1000)


def test_tokens_are_estimated_from_above():
    assert [estimated_tokens(b"x" * count) for count in (0, 1, 3, 4)] == [0, 1, 1, 2]


@pytest.mark.parametrize("value", [-1, 1.5, "12", True, None, 10**10, [1]])
def test_what_is_no_count_is_none(value):
    assert token_count(value) is None


def test_foreign_text_is_shown_without_what_a_terminal_obeys():
    assert shown("gpt\x1b[31m-4\r\n\u202e\x00mini", 100) == "gpt[31m-4mini"
    assert shown("x" * 500, 100) == "x" * 100
    assert shown(["x"], 100) == ""


def test_text_that_cannot_be_encoded_is_made_so():
    assert encodable("a\ud800é") == "a?é"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "https://api.example.com/v1/",
        "https://93.184.216.34",
        "http://localhost:11434/v1",
        "http://127.0.0.1:1",
        "http://[::1]:1/v1",
        "https://127.0.0.1:1",
    ],
)
def test_base_addresses_that_can_be_one(url):
    require_model_url(url, allows_private=False)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.example.com/v1", "expected https, was http"),
        ("ftp://api.example.com", "expected https://host"),
        ("https://user:pass@api.example.com", "expected no user or password"),
        ("https://api.example.com/v1?key=1", "expected a path and nothing behind it"),
        ("https://api.example.com/v 1", "expected a path and nothing behind it"),
        ("https://api.example.com/v\x7f1", "expected a path and nothing behind it"),
        ("https://192.168.1.5/v1", "expected a public host, was a private address"),
        ("https://169.254.169.254/v1", "expected a public host, was a metadata service"),
        ("https://[fe80::1]/v1", "expected a public host, was a link-local address"),
        ("https://0.0.0.0/v1", "expected a public host"),
    ],
)
def test_base_addresses_that_cannot_be_one_are_refused(url, problem):
    with pytest.raises(DomainError, match=problem):
        require_model_url(url, allows_private=False)


def test_the_local_network_can_be_meant_but_not_in_plain_text():
    require_model_url("https://192.168.1.5/v1", allows_private=True)
    for url in ("http://192.168.1.5/v1", "https://169.254.169.254/v1"):
        with pytest.raises(DomainError):
            require_model_url(url, allows_private=True)


def api_of(url, timing, **options):
    key = options.pop("key", Secret(value=KEY, source="env LLM_API_KEY"))
    return ModelApi(url, timing=timing, key=key, key_header=lambda text: ("X-Key", text), **options).joined()


async def post(api, body=b'{"a": 1}'):
    return await api.post("/chat", body, timeout_s=5, reply_bytes_max=1000, output_tokens_max=50)


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (Secret(value=None, source="env K"), "secret from env K: was not read, because this mode signs nothing"),
        (Secret(value="two words", source="env K"), "the key from env K is empty or holds characters that no key has"),
        (Secret(value="é", source="file k"), "the key from file k is empty or holds characters that no key has"),
    ],
)
async def test_a_key_that_cannot_be_sent_is_a_reply_and_no_request(raw_server, time, key, detail):
    server = await raw_server(None)
    api = api_of(server.url, time.timing, key=key)

    answer = await post(api)

    assert (answer.status, answer.detail, answer.usage) == (ReplyStatus.CONFIG, detail, Usage())
    assert server.writers == []


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_targets_are_put_behind_the_base_without_doubled_slashes(raw_server, http_reply, time, path):
    async def answer(request, writer):
        writer.write(http_reply(b"{}"))

    server = await raw_server(answer)
    api = api_of(server.url + path, time.timing)

    await post(api)
    await api.aclose()

    assert server.requests[0].startswith(f"POST {path.rstrip('/')}/chat HTTP/1.1".encode())
    assert f"X-Key: {KEY}".encode() in server.requests[0]


async def test_a_host_that_leads_inside_is_a_matter_for_a_person(time):
    async def resolve(host, port):
        return ["10.1.2.3"]

    api = api_of("https://model.example", time.timing, resolve=resolve)

    answer = await post(api)

    assert (answer.status, answer.usage) == (ReplyStatus.CONFIG, Usage())
    assert answer.detail == "host model.example: resolves to 10.1.2.3, a private address"


async def test_a_host_that_is_not_found_may_come_back(time):
    async def resolve(host, port):
        raise OSError

    answer = await post(api_of("https://model.example", time.timing, resolve=resolve))

    assert (answer.status, answer.usage) == (ReplyStatus.UNAVAILABLE, Usage())
    assert answer.detail == "https://model.example could not be asked: OSError"


async def test_a_request_whose_end_nobody_knows_is_reckoned_at_its_worst(raw_server, time):
    async def answer(request, writer):
        return "close"

    server = await raw_server(answer)
    api = api_of(server.url, time.timing)

    answer = await post(api, b"x" * 31)
    await api.aclose()

    assert answer.status is ReplyStatus.UNAVAILABLE
    assert answer.usage == Usage(input_tokens=11, output_tokens=50, is_estimated=True)


async def test_a_wait_until_a_date_counts_from_the_servers_own_time(raw_server, http_reply, time):
    until = "Retry-After: Tue, 14 Nov 2023 22:14:00 GMT"
    dates = iter([("Date: Tue, 14 Nov 2023 22:13:50 GMT", until), ("Date: today", until), (until,)])

    async def answer(request, writer):
        writer.write(http_reply(b"{}", status="429 Too Many Requests", headers=next(dates)))

    server = await raw_server(answer)
    api = api_of(server.url, time.timing)

    waits = [(await post(api)).retry_after_ns for _ in range(3)]
    await api.aclose()

    assert time.now_ns == NOW_NS
    assert waits == [10_000_000_000, 40_000_000_000, 40_000_000_000]


async def test_latency_is_real_on_a_clock_that_stands_still(raw_server, http_reply, time):
    async def answer(request, writer):
        writer.write(http_reply(b"{}"))

    server = await raw_server(answer)
    api = api_of(server.url, time.timing)

    answer = await post(api)
    await api.aclose()

    assert answer.latency_ns > 0


async def test_the_last_user_closes_and_a_new_one_may_open_again(raw_server, http_reply, time):
    async def answer(request, writer):
        writer.write(http_reply(b"{}"))

    server = await raw_server(answer)
    api = api_of(server.url, time.timing).joined()

    for _ in range(2):
        await post(api)
        await api.aclose()
    await post(api.joined())
    await api.aclose()

    assert (len(server.requests), len(server.writers)) == (3, 2)


async def test_the_code_of_an_error_is_shown_unless_it_quotes(raw_server, http_reply, time):
    bodies = iter(
        [
            b'{"error": {"code": "model_not_found", "message": "sk-canary-0001 secret-question"}}',
            b'{"error": {"code": "sk-canary-0001", "type": "some_error"}}',
            b'{"error": {"code": "secret-question"}}',
            b'{"error": {"code": "two words", "type": ["x"]}}',
            b'{"error": "sk-canary-0001"}',
            b"sk-canary-0001",
        ]
    )

    async def answer(request, writer):
        writer.write(http_reply(next(bodies), status="401 Unauthorized", headers=(f"X-Request-Id: {KEY}",)))

    server = await raw_server(answer)
    api = api_of(server.url, time.timing)

    answers = [await post(api, b'{"prompt": "a secret-question"}') for _ in range(6)]
    await api.aclose()

    refused = ": the key from env LLM_API_KEY was refused"
    assert [answer.detail for answer in answers] == [
        f"HTTP 401, model_not_found{refused}",
        f"HTTP 401, some_error{refused}",
        *[f"HTTP 401{refused}"] * 4,
    ]
    assert {answer.request_id for answer in answers} == {""}
    assert all(KEY not in repr(answer) + repr(answer.reply()) for answer in answers)


@pytest.mark.parametrize(
    ("key", "text", "is_quoted"),
    [
        (KEY, f'{{"reason": "{KEY}"}}', True),
        (KEY, '{"reason": "s\\u006b-canary\\u002d0001"}', True),
        (KEY, '{"reason": "sk-c\\anary-0001"}', True),
        (KEY, '{"reason": "sk-canary"}', False),
        (KEY, "\\", False),
        # What a server without keys is given is a word like others.
        ("none", '{"reason": "none seen"}', False),
        ("x", '{"max": 1}', False),
    ],
)
def test_an_answer_that_quotes_the_key_is_known_however_it_is_written(time, key, text, is_quoted):
    api = api_of("http://127.0.0.1:1", time, key=Secret(value=key, source="env K"))

    assert api.reveals_key(text) is is_quoted
