"""What can be looked for in any database."""


def storable(text: str) -> str:
    """PostgreSQL refuses to look for a NUL; nothing that is kept has one."""
    return text.replace("\x00", "\ufffd")
