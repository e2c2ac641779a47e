"""What pages are told apart by: the categories of a request, and everyday kinds of documents beside them.

A page that resembles an everyday kind more than any category is uncategorized. That needs no threshold, which would
differ from one embedding model to the next.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.llms.quote_words import terms


@dataclass(frozen=True, slots=True)
class Category:
    name: str
    description: str = ""

    @property
    def text(self) -> str:
        """As it is embedded."""
        return f"{spoken(self.name)}. {self.description}".strip()


@dataclass(frozen=True, slots=True)
class Page:
    """`number` is 1-based."""

    number: int
    text: str


EVERYDAY = tuple(
    Category(name, description)
    for name, description in (
        ("invoice", "a bill for goods or services with an amount due, tax and an invoice number"),
        ("receipt", "proof of a payment with items, total paid and method of payment"),
        ("letter", "correspondence with a salutation, body, closing and signature"),
        ("contract", "an agreement between parties with terms, clauses and signatures"),
        ("report", "a report with summary, findings, analysis and conclusions"),
        ("bank statement", "account transactions with balances, deposits and withdrawals"),
        ("tax form", "an official tax return with income, deductions and withholding"),
        ("resume", "a curriculum vitae with work experience, education and skills"),
        ("scientific article", "a research paper with abstract, methods, results and references"),
        ("medical record", "a patient's diagnosis, treatment, medication and test results"),
        ("purchase order", "an order of goods with quantities, prices and a delivery date"),
        ("delivery note", "a packing list with shipped goods, weights and the address of delivery"),
        ("application form", "a form with fields to fill in, name, address and signature"),
        ("minutes of a meeting", "attendees, agenda, decisions and action items"),
        ("manual", "instructions for installation, use and maintenance of a device"),
        ("presentation", "slides with short bullet points"),
        ("newspaper article", "a news story about politics, sport or business"),
        ("recipe", "ingredients and steps for cooking a dish"),
        ("source code", "a computer program with functions and variables"),
        ("table of contents", "chapters with page numbers"),
        ("certificate", "an official attestation that something is certified"),
        ("insurance policy", "coverage, premium, insured person and exclusions"),
        ("payslip", "salary, gross and net pay, deductions for an employee"),
        ("advertisement", "a flyer that promotes products, discounts and offers"),
        ("story", "narrative prose with characters and dialogue"),
        ("poem", "verse about nature, love or the soul"),
    )
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COMMON = frozenset(
    terms(
        "document documents page pages file files form type kind any all other content contains contain containing "
        "include includes including such example belong category with an and or for"
    )
)


_CUES = (
    (r"^(?:dear|sehr geehrte|ch[eè]re?|estimad[oa])\b|^to whom it may concern", "letter correspondence salutation"),
    (
        r"^(?:yours )?(?:sincerely|faithfully)|^(?:kind|best) regards|^mit freundlichen gr",
        "letter correspondence closing",
    ),
    (r"\b(?:amount|total|balance) due\b|\bbill to\b|\bpayable within\b", "invoice bill"),
    (r"\bpatient\b.{0,80}\b(?:reports|presents|diagnos)|^diagnosis\b", "medical patient record"),
    (r"\b(?:whereas|hereinafter|the parties agree|party of the first part)\b", "contract agreement"),
    (r"^(?:work experience|education|curriculum vitae)\b", "resume cv application"),
    (r"^abstract\b|^references$", "scientific article paper research"),
    (r"\b(?:opening|closing) balance\b", "bank account statement"),
    (r"^ingredients\b|\bpreheat the oven\b", "recipe cooking"),
    (r"^(?:attendees|action items|agenda)\b", "minutes meeting"),
    (r"\b(?:gross|net) pay\b", "payslip salary wage"),
    (r"\bship(?:ped)? to\b|\bpacking list\b", "delivery note shipping"),
)
CUES = tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), frozenset(terms(words))) for pattern, words in _CUES)
"""Phrases that say what a page is without naming it: it counts as having these words."""


def cued(text: str) -> set[str]:
    return {word for pattern, words in CUES if pattern.search(text) for word in words}


def spoken(name: str) -> str:
    """`purchaseOrder`, `purchase_order` → `purchase order`."""
    return " ".join(_CAMEL.sub(" ", name).replace("_", " ").replace("-", " ").split()).lower()


def name_terms(category: Category) -> list[str]:
    return [each for each in terms(spoken(category.name)) if each not in _COMMON] or terms(spoken(category.name))


def description_terms(category: Category) -> list[str]:
    return [each for each in dict.fromkeys(terms(category.description)) if each not in _COMMON]


def others(categories: Sequence[Category]) -> list[Category]:
    """Everyday kinds that no category means."""
    named = [set(name_terms(each)) for each in categories]
    told = [set(name_terms(each)) | set(description_terms(each)) for each in categories]

    def is_meant(kind: Category) -> bool:
        names = set(name_terms(kind))
        return any(names & each for each in named) or any(names <= each for each in told)

    return [each for each in EVERYDAY if not is_meant(each)]
