"""Names under `components` are replaced by what they name before anything else sees the config."""

from typing import Any

_LISTS = ("embedding_strategies", "retrieval_strategies", "parsers")


def resolve_components(raw: dict[str, Any]) -> dict[str, Any]:
    """A copy of the whole config in which databases and strategies hold their parts inline.

    What has the wrong shape is left as it is: the models say what is wrong with it.

    Raises:
        ValueError: a name that nothing under `components` has; names the place and lists the known ones.
    """
    rag = raw.get("rag")
    if not isinstance(rag, dict):
        return raw
    parts = _Parts(raw.get("components"), rag.get("components"))
    resolved = dict(rag)
    for key, resolve in (("databases", parts.database), ("data_processing_strategies", parts.strategy)):
        if isinstance(rag.get(key), list):
            resolved[key] = [
                resolve(entry, f"rag.{key}[{index}]") if isinstance(entry, dict) else entry
                for index, entry in enumerate(rag[key])
            ]
    return {**raw, "rag": resolved}


class _Parts:
    """The named parts of both places; those inside `rag` win."""

    def __init__(self, *sources: Any) -> None:
        self._named: dict[str, dict[str, Any]] = {kind: {} for kind in _LISTS}
        self._defaults: dict[str, Any] = {}
        for source in sources:
            if isinstance(source, dict):
                self._add(source)

    def _add(self, source: dict[str, Any]) -> None:
        for kind in _LISTS:
            entries = source.get(kind)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    self._named[kind][entry["name"]] = entry
        if isinstance(source.get("defaults"), dict):
            self._defaults.update(source["defaults"])

    def database(self, entry: dict[str, Any], path: str) -> dict[str, Any]:
        resolved = dict(entry)
        for role in ("embedding", "retrieval"):
            kind, key = f"{role}_strategies", f"{role}_strategy"
            name = entry.get(key) or self._defaults.get(key)
            if not entry.get(kind) and isinstance(name, str):
                resolved[kind] = [self._find(kind, name, f"{path}.{key}")]
        return resolved

    def strategy(self, entry: dict[str, Any], path: str) -> dict[str, Any]:
        parsers = entry.get("parsers") or self._default_parsers()
        if not isinstance(parsers, list):
            return entry
        resolved = [
            self._find("parsers", parser, f"{path}.parsers[{index}]") if isinstance(parser, str) else parser
            for index, parser in enumerate(parsers)
        ]
        return {**entry, "parsers": resolved}

    def _default_parsers(self) -> list[str] | None:
        name = self._defaults.get("parser")
        return [name] if isinstance(name, str) else None

    def _find(self, kind: str, name: str, path: str) -> Any:
        known = self._named[kind]
        if name not in known:
            accepted = ", ".join(sorted(known)) or f"none, components.{kind} is empty"
            raise ValueError(f"{path} = '{name}'; accepted: a name under components.{kind} ({accepted})")
        return known[name]
