"""Run the server by itself: `python -m mmframe.testing.llm_server --port 8201`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path
from threading import Event

from mmframe.errors import UsageError
from mmframe.testing.llm_server import LlmServer, read_script

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl+C or a termination signal; return the status of the process."""
    options = _parser().parse_args(arguments)
    try:
        replies = read_script(options.script) if options.script else ()
        server = LlmServer(
            port=options.port,
            models=options.model or ("local-model",),
            delay_s=options.delay_s,
            default=options.default,
        )
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"error: port {options.port}: {why}; choose another with --port, 0 for any free one", file=sys.stderr)
        return 2
    server.script(*replies)
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"openai     {server.openai_url}")
        print(f"anthropic  {server.anthropic_url}", flush=True)
        ended.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mmframe.testing.llm_server",
        description="Serve the OpenAI and Anthropic protocols on this machine, without a model: each question is "
        "answered with JSON that follows its schema.",
    )
    parser.add_argument("--port", type=int, default=0, help="where to listen; 0 takes any free port")
    parser.add_argument("--script", type=Path, help="a file of replies, one a line, given before the default")
    parser.add_argument("--default", default="valid", help="the reply beyond the script, by name (valid)")
    parser.add_argument("--delay-s", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--model", action="append", help="a name for the list of models; repeat it for more")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
