"""Names of persons, organisations and places, and amounts, by rules: no model is loaded."""

import re
from typing import Literal

from pydantic import Field

from rag.errors import InvalidInputError
from rag.extractors.named_patterns import find_named
from rag.extractors.spacy_names import MODEL_KINDS, SpacyNames, why_absent
from rag.extractors.words import STOP_WORDS
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

EntityType = Literal[
    "PERSON", "ORG", "GPE", "DATE", "TIME", "MONEY", "EMAIL", "PHONE", "URL", "PERCENT", "PRODUCT", "EVENT", "LAW",
    "VERSION", "FAC", "LOC",
]  # fmt: skip

_NAMED: dict[str, str] = {
    "DATE": "date", "TIME": "time_24h", "MONEY": "currency", "EMAIL": "email", "PHONE": "phone", "URL": "url",
    "PERCENT": "percentage", "VERSION": "version",
}  # fmt: skip

_CAP = r"[A-Z][\w&'’-]{1,30}"
_RULES = {
    "PERSON": re.compile(
        rf"\b(?:Dr|Mr|Mrs|Ms|Prof|Sir|President|Senator|Judge)\.? (?:[A-Z]\. ){{0,3}}{_CAP}(?: {_CAP}){{0,2}}"
        rf"|\b[A-Z][a-z]{{1,20}} (?:[A-Z]\. ){{1,2}}[A-Z][a-z]{{1,25}}\b"
    ),
    "ORG": re.compile(
        rf"\b(?:{_CAP} (?:(?:and|&) )?){{1,6}}(?:Inc|Corp|Corporation|Ltd|LLC|GmbH|AG|PLC|Company|University"
        r"|Institute|Agency|Administration|Association|Foundation|Committee|Commission|Council|Ministry|Bank|Group)\b"
        r"|\b(?:University|Institute|Department|Ministry|Bank) of (?:[A-Z][\w-]{1,30} ?){1,4}(?<! )"
    ),
    "GPE": re.compile(
        r"\b(?:United States|United Kingdom|European Union|U\.S\.|U\.K\.|USA|Germany|France|Italy|Spain|Poland|China"
        r"|India|Japan|Canada|Australia|Brazil|Mexico|Russia|Ukraine|Switzerland|Austria|Netherlands|Belgium|Sweden|Norway"
        r"|Denmark|Finland|Ireland|Portugal|Greece|Turkey|Israel|Egypt|South Africa|London|Paris|Berlin|Tokyo|Beijing"
        r"|New York|Washington|California|Texas|Florida)(?!\w)"
    ),
    "LAW": re.compile(
        r"\b(?:\d{1,3} (?:CFR|U\.S\.C\.|USC)(?: Part)? §{0,2} ?\d{1,6}(?:\.\d{1,6})?(?:\([a-z0-9]{1,4}\)){0,5}"
        rf"|(?:{_CAP} ){{1,5}}Act(?: of \d{{4}})?\b|(?:Article|Section) \d{{1,4}}(?:\([a-z0-9]{{1,4}}\)){{0,4}})"
    ),
    "LOC": re.compile(
        rf"\b(?:Lake|Mount|River|Cape) {_CAP}|\b{_CAP} (?:River|Mountains|Ocean|Sea|Valley|Desert|Island)\b"
    ),
    "FAC": re.compile(rf"\b(?:{_CAP} ){{1,3}}(?:Airport|Station|Bridge|Hospital|Tower|Building|Stadium|Laboratory)\b"),
    "EVENT": re.compile(rf"\b(?:{_CAP} ){{1,4}}(?:Conference|Summit|Festival|Olympics|Championship|Symposium|War)\b"),
    "PRODUCT": re.compile(r"\b[A-Z][A-Za-z]{1,20}[- ]\d{1,4}[A-Za-z]{0,3}\b(?![-/.]\d)"),
}
_DEFAULT: tuple[EntityType, ...] = (
    "PERSON", "ORG", "GPE", "DATE", "TIME", "MONEY", "EMAIL", "PHONE", "URL", "PERCENT", "PRODUCT", "EVENT",
)  # fmt: skip


class EntityExtractor:
    """Precise for what has a form (dates, amounts, addresses), incomplete for names, which only a model would find:
    with spaCy installed, `model` finds them. Rules go on finding what has a form.
    """

    class Options(ComponentOptions):
        entity_types: tuple[EntityType, ...] = Field(_DEFAULT, description="Which kinds to look for.")
        min_entity_length: int = Field(2, ge=1, description="Characters of the shortest name kept.")
        merge_entities: bool = Field(True, description="Leave out names that stand inside a longer one found.")
        model: str | None = Field(
            None,
            description="A spaCy model that finds names, such as `en_core_web_sm`; it and spaCy must be installed.",
        )
        use_fallback: bool = Field(True, description="Find names by rules where `model` is not there; else refuse.")

    def __init__(self, options: Options) -> None:
        self._options = options
        self.warnings: tuple[str, ...] = ()
        self._model: SpacyNames | None = None
        if options.model is None:
            return
        problem = why_absent(options.model)
        if problem is None:
            self._model = SpacyNames(options.model)
        elif options.use_fallback:
            self.warnings = (f"{problem}; names are found by rules",)
        else:
            raise InvalidInputError(f"{problem}, and use_fallback is false. Install it, or leave `model` out")

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        named = {} if self._model is None else self._model.find(text)
        result: dict[str, Scalar | list[str]] = {}
        for kind in self._options.entity_types:
            found = self._kept(self._found(kind, text, named))
            if found:
                result[f"entities_{kind.lower()}"] = found
        return result

    def _found(self, kind: str, text: str, named: dict[str, list[str]]) -> list[str]:
        if kind in _NAMED:
            return find_named(_NAMED[kind], text)
        return named.get(kind, []) if self._model is not None and kind in MODEL_KINDS else _by_rule(kind, text)

    def _kept(self, found: list[str]) -> list[str]:
        found = [name for name in found if len(name) >= self._options.min_entity_length]
        if not self._options.merge_entities:
            return found
        return [name for name in found if not any(name in other and name != other for other in found)]


def _by_rule(kind: str, text: str) -> list[str]:
    names = (_without_lead(match.group().strip()) for match in _RULES[kind].finditer(text))
    return list(dict.fromkeys(name for name in names if name))


def _without_lead(name: str) -> str:
    """Drop the capitalised small word of a sentence's beginning: "The", "In" …"""
    first, _, rest = name.partition(" ")
    return rest if rest and first.lower() in STOP_WORDS else name
