"""The plugin passes the kit, in each way to ask for JSON."""

from __future__ import annotations

from mmframe.testing import LLMProviderConformance, PluginConformance
from mmframe_anthropic.options import MessagesOptions
from mmframe_anthropic.plugin import PROVIDERS


class TestPlugin(PluginConformance):
    module = "mmframe_anthropic.plugin"
    entry_point = "anthropic"


class TestMessages(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return MessagesOptions(model="local-model", base_url=server.anthropic_url, api_key=key)


class TestMessagesWithATool(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return MessagesOptions(model="local-model", base_url=server.anthropic_url + "/", api_key=key, json_mode="tool")


class TestMessagesInPromptMode(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return MessagesOptions(model="local-model", base_url=server.anthropic_url, api_key=key, json_mode="prompt")
