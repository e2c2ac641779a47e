"""The tasks. Each loads by id, calls one function, and reports; importing a module registers its tasks."""
