"""The plugin passes the kit, in each way to ask for JSON."""

from __future__ import annotations

from mmframe.testing import LLMProviderConformance, PluginConformance
from mmframe_openai.options import ChatOptions
from mmframe_openai.plugin import PROVIDERS


class TestPlugin(PluginConformance):
    module = "mmframe_openai.plugin"
    entry_point = "openai"


class TestChat(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return ChatOptions(model="local-model", profile="openai", base_url=server.openai_url, api_key=key)


class TestChatInObjectMode(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return ChatOptions(model="local-model", base_url=server.openai_url + "/", api_key=key)


class TestChatInPromptMode(LLMProviderConformance):
    spec = PROVIDERS[0]

    def provider_options(self, server, key):
        return ChatOptions(model="local-model", base_url=server.openai_url, api_key=key, json_mode="prompt")
