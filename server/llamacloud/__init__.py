"""The LlamaCloud API over the same engine: routers, wire models, services."""
