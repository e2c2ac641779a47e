"""LLM providers by the name that `provider` has in llamafarm.yaml.

`lemonade` and `universal` are OpenAI-compatible servers; their default `base_url` comes from the settings.
"""

from rag.llms.base import LLM
from rag.registry import Registry

llms = Registry[LLM](
    "llm provider",
    {
        "ollama": "rag.llms.ollama:OllamaLLM",
        "openai": "rag.llms.openai:OpenAILLM",
        "lemonade": "rag.llms.openai:OpenAILLM",
        "universal": "rag.llms.openai:OpenAILLM",
        "extractive": "rag.llms.extractive:ExtractiveLLM",
        "scripted": "rag.llms.scripted:ScriptedLLM",
    },
)
