"""A server on this machine that speaks the OpenAI and the Anthropic protocol on real sockets, with scripted replies.

It answers without a model: by default with JSON made from the request's schema and prompt, always the same for the same
question. Batches are kept in memory and done after some looks at them. `python -m mmframe.testing.llm_server` runs it;
tests use `LlmServer` as a context manager.
"""

from mmframe.testing.llm_server.batches import BatchDesk, ScriptedBatch
from mmframe.testing.llm_server.replies import reply_text
from mmframe.testing.llm_server.script import INJECTION, SCRIPTS, Fault, Scripted, read_script, scripted
from mmframe.testing.llm_server.server import LlmServer, SeenRequest

__all__ = [
    "INJECTION",
    "SCRIPTS",
    "BatchDesk",
    "Fault",
    "LlmServer",
    "Scripted",
    "ScriptedBatch",
    "SeenRequest",
    "read_script",
    "reply_text",
    "scripted",
]
