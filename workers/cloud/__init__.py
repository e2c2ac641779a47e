"""Jobs of the LlamaCloud side: one module for each kind of work, one line for it in registry.py."""
