"""Small documents of known kinds, page by page, as bundles are scanned: each call gives another one."""

import random
from dataclasses import dataclass

from rag.splitting.labels import Category, Page

CATEGORIES = (
    Category(
        "invoice", "bills for goods or services with an invoice number, quantities, prices, VAT and the total due"
    ),
    Category("letter", "correspondence with a salutation, running text and a closing such as sincerely"),
    Category("annual_report", "financial reports of companies with revenue, outlook, risks and a balance sheet"),
    Category("medical record", "notes on a patient: diagnosis, medication, laboratory values"),
)
PEOPLE = ("Anna Weber", "John Miller", "Priya Shah", "Luis Ortega", "Mei Lin", "Tom Becker")
FIRMS = ("Northwind Trading", "Alder & Sons", "Bluepeak Energy", "Contoso Ltd", "Fabrikam Works")
GOODS = ("steel bolts", "office chairs", "printer paper", "copper wire", "garden lamps", "coffee beans")
TOPICS = (
    "the delayed delivery",
    "your application",
    "our meeting in spring",
    "the lease of the flat",
    "the new school",
)
FILL = (
    "We have looked into the matter with care and can tell you what we found.",
    "Please let us know whether this suits you, and which day would be best.",
    "The weather has been poor for weeks, which has not helped at all.",
    "As agreed on the telephone, the papers are enclosed with this post.",
)
REPORT = (
    "Revenue rose by {n} percent, driven by strong demand in the northern region.",
    "Operating costs grew more slowly than sales, so that the margin widened to {n} percent.",
    "The outlook for next year depends on energy prices and on exchange rates.",
    "Risks include supply chains, regulation and the loss of large customers.",
    "The balance sheet total stood at {n} million euros at the end of the year.",
    "Shareholders will be asked to approve a dividend of {n} cents per share.",
)
MEDICAL = (
    "Patient reports mild pain in the left knee since {n} days.",
    "Blood pressure {n} over 80, pulse regular, temperature normal.",
    "Diagnosis: osteoarthritis, to be reviewed after imaging.",
    "Medication: ibuprofen 400 mg twice a day, omeprazole 20 mg in the morning.",
    "Laboratory: haemoglobin {n}, leukocytes within the normal range.",
)
RECIPE = (
    "Apple cake\nPreheat the oven. Mix flour, butter, sugar and two eggs.\n"
    "Peel the apples, bake for 45 minutes, serve warm."
)
POEM = (
    "The moon above the quiet sea\nwas listening to the sand,\n"
    "and nothing that was said to me\ncould any wave withstand."
)


@dataclass(frozen=True)
class Made:
    kind: str
    pages: tuple[str, ...]


def make(kind: str, chance: random.Random) -> Made:
    return Made(kind, tuple(_MAKERS[kind](chance)))


def bundle(seed: int, documents: int, *, strangers: bool = False) -> tuple[list[Page], list[str], list[int]]:
    """(pages, the kind of each page, numbers of the pages on which documents begin)."""
    chance = random.Random(seed)
    names = [each.name for each in CATEGORIES]
    pages: list[Page] = []
    kinds: list[str] = []
    starts = []
    for _ in range(documents):
        found = Made("uncategorized", (chance.choice((RECIPE, POEM)),))
        if not strangers or chance.random() < 0.75:
            found = make(chance.choice(names), chance)
        starts.append(len(pages) + 1)
        for text in found.pages:
            pages.append(Page(len(pages) + 1, text))
            kinds.append(found.kind)
    return pages, kinds, starts


def _invoice(chance: random.Random) -> list[str]:
    number, count = chance.randrange(1_000, 9_999), chance.choice((1, 1, 2))
    head = f"{chance.choice(FIRMS)}\nInvoice No. {number}\nBill to: {chance.choice(PEOPLE)}"
    rows = [
        f"{chance.choice(GOODS)}  qty {chance.randrange(1, 90)}  unit price {chance.randrange(2, 400)}.00"
        for _ in range(9)
    ]
    pages = [f"{head}\nDescription  Quantity  Price\n" + "\n".join(rows)]
    if count == 2:
        pages.append("carried forward\n" + "\n".join(rows[:4]))
    pages[-1] += (
        f"\nSubtotal 1,200.00\nVAT 19%\nTotal due {chance.randrange(100, 9_000)}.00 EUR, payable within 30 days"
    )
    return [f"{text}\nPage {at} of {count}" for at, text in enumerate(pages, 1)]


def _letter(chance: random.Random) -> list[str]:
    name, topic = chance.choice(PEOPLE), chance.choice(TOPICS)
    body = " ".join(chance.choices(FILL, k=5))
    first = f"{chance.randrange(1, 29)} March 2025\n\nDear {name},\n\nthank you for writing about {topic}. {body}"
    closing = f"\n\nYours sincerely,\n{chance.choice(PEOPLE)}"
    if chance.random() < 0.5:
        return [first + closing]
    return [
        f"{first} We would also like to add that",
        f"the rest can wait until we meet. {' '.join(chance.choices(FILL, k=4))}{closing}",
    ]


def _report(chance: random.Random) -> list[str]:
    count, firm = chance.choice((2, 3, 4)), chance.choice(FIRMS)
    pages = []
    for at in range(1, count + 1):
        text = " ".join(each.format(n=chance.randrange(2, 60)) for each in chance.choices(REPORT, k=6))
        pages.append(f"{firm} Annual Report 2024\n{text}\n{at}" if at == 1 else f"{text}\n{at}")
    return pages


def _medical(chance: random.Random) -> list[str]:
    text = "\n".join(each.format(n=chance.randrange(7, 150)) for each in chance.sample(MEDICAL, k=4))
    return [f"Medical record\nPatient: {chance.choice(PEOPLE)}, case no. {chance.randrange(10_000, 99_999)}\n{text}"]


_MAKERS = {"invoice": _invoice, "letter": _letter, "annual_report": _report, "medical record": _medical}
