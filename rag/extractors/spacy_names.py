"""Names found by a spaCy model, where the user has installed both; nothing here depends on it."""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Final

MODEL_KINDS: Final = frozenset({"PERSON", "ORG", "GPE", "LOC", "FAC", "PRODUCT", "EVENT", "LAW"})
_OTHER_LABELS: Final = {"PER": "PERSON"}
"""What models of other languages call the same."""
_UNUSED_PIPES: Final = ("tagger", "parser", "lemmatizer", "attribute_ruler")
_MAX_CHARS: Final = 100_000


def why_absent(model: str) -> str | None:
    """None when spaCy and the model are installed; neither is loaded. Only a package that says of itself that it is a
    model is taken for one: loading imports it."""
    if find_spec("spacy") is None:
        return f"model '{model}' cannot be loaded, because spaCy is not installed"
    if not entry_points(group="spacy_models", name=model):
        return f"'{model}' is not one of spaCy's models that are installed as packages"
    return None


class SpacyNames:
    """Loads the model when the first text comes: plans are made in processes that never look at one."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._model: Any = None

    def find(self, text: str) -> dict[str, list[str]]:
        """Kind → distinct names in order of appearance; a text over 100,000 characters is looked at up to there."""
        if self._model is None:
            self._model = import_module("spacy").load(self._name, exclude=_UNUSED_PIPES)
        found: dict[str, dict[str, None]] = {}
        for entity in self._model(text[:_MAX_CHARS]).ents:
            kind = _OTHER_LABELS.get(entity.label_, entity.label_)
            found.setdefault(kind, {})[" ".join(entity.text.split())] = None
        return {kind: list(names) for kind, names in found.items()}
