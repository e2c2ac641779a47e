"""Writes the binary documents of this example from the text below: `python examples/handbook/make_files.py`.

The results are committed, so that the example needs no generator to run. Harbour Street Bakery does not exist.
"""

from pathlib import Path

from docx import Document
from openpyxl import Workbook
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

FILES = Path(__file__).parent / "files" / "handbook"

HANDBOOK = [
    (
        "Employee Handbook",
        [
            "Harbour Street Bakery is a workers' cooperative with 34 members and two shops, one at 12 Harbour Street and one "
            "in the Old Customs House. This handbook holds for every employee from 1 January 2026 and replaces the edition "
            "of 2023.",
            "Questions about this handbook go to the people team (people@harbourstreet.example). The people team answers "
            "within two working days.",
        ],
    ),
    (
        "Working Time and Pay",
        [
            "The working week has 36 hours. Night work is work between 22:00 and 05:00; it is paid with a supplement of 28 "
            "percent. Work on public holidays is paid double.",
            "Pay arrives on the 25th of each month. Every employee receives the same base rate of 19.40 per hour; shift leads "
            "receive 2.10 more. Overtime is booked in the time account, which may hold at most 60 hours.",
            "A shift may be swapped with a colleague until 48 hours before it begins. Both must confirm the swap in the "
            "rota application.",
        ],
    ),
    (
        "Leave",
        [
            "Annual leave is 29 working days for a full-time employee. Up to 6 days may be carried over into the next year; "
            "they lapse on 31 March.",
            "Parental leave: every employee gets 90 days of paid parental leave for each child, whatever their role and "
            "however long they have worked here. It must be requested at least 8 weeks before it begins and can be taken in "
            "up to three blocks until the child's second birthday.",
            "Sabbatical: after five years of membership an employee may take an unpaid sabbatical of up to six months. The "
            "request goes to the general meeting.",
        ],
    ),
    (
        "Sickness and Safety",
        [
            "Whoever is ill tells the shift lead by telephone before the shift begins, at the latest at 04:30 for the early "
            "shift. A doctor's note is needed from the fourth day.",
            "Anyone with diarrhoea or vomiting stays away from the bakehouse until they have been well for 48 hours.",
            "Every accident, however small, is written into the accident book, which hangs beside the flour store. The safety "
            "officer is Ilse Marrow, extension 214.",
        ],
    ),
    (
        "Expenses and Equipment",
        [
            "Travel for the bakery is repaid within 14 days when the form T-7 and the receipts are handed in. The daily "
            "allowance is 31 for a full day and 15.50 for a half day.",
            "Each baker receives two pairs of safety shoes of class S2 a year and five sets of working clothes, which the "
            "bakery washes.",
            "The bakery contributes 450 a year to a bicycle or to a season ticket, but not to both.",
        ],
    ),
    (
        "Leaving",
        [
            "The period of notice is four weeks in the first two years and two months after that. Keys, the till card and "
            "the safety shoes are returned on the last day.",
            "Members who leave receive their cooperative share of 1,200 back within six months after the annual accounts "
            "have been approved.",
        ],
    ),
]

FIRST_AID = [
    (
        "First Aid: Burns",
        [
            "Cool a burn with running lukewarm water for 20 minutes. Do not use ice, butter or flour. Cover it with the film "
            "from the green box, never with cotton wool.",
            "Call 112 when the burn is larger than the palm of the injured person's hand or when face, hands or joints are "
            "burnt.",
        ],
    ),
    (
        "First Aid: Allergic Reaction",
        [
            "The adrenaline pens are in the yellow case at the till of both shops. Press the pen against the outer thigh and "
            "hold it for 10 seconds. Call 112 in every case, also when the person feels better.",
            "First aiders of the Harbour Street shop are Tomas Wren and Adaeze Obi; of the Old Customs House, Pilar Sunde.",
        ],
    ),
]

ALLERGENS = [
    ("Cleaning between doughs", "After a dough with nuts the mixer MX-40 is washed with the blue programme for 11 minutes. "
     "A swab test follows; its result is written on sheet H-3."),
    ("Labelling", "Every tray carries a label with the fourteen allergens. A tray without a label is not sold, even when its "
     "content seems obvious."),
    ("Core temperature", "Cream fillings are heated to a core temperature of at least 72 degrees for two minutes and cooled "
     "below 7 degrees within 90 minutes."),
]  # fmt: skip

SUPPLIERS = {
    "Suppliers": [
        ["Supplier", "Product", "Contact", "Delivery days", "Minimum order"],
        ["Mill at Reedwater", "Wheat flour T65", "Gunnar Holt", "Monday, Thursday", "400 kg"],
        ["Mill at Reedwater", "Rye flour 1150", "Gunnar Holt", "Monday", "200 kg"],
        ["Dairy Kessock", "Butter 82 %", "Maire Flynn", "Tuesday, Friday", "60 kg"],
        ["Saltworks Brae", "Sea salt, fine", "Oona Tait", "first Wednesday of the month", "25 kg"],
        ["Orchard Lyngby", "Apples, Boskoop", "Per Lyngby", "Wednesday", "80 kg"],
    ],
    "Equipment": [
        ["Device", "Serial number", "Next inspection", "Service partner"],
        ["Deck oven DO-3", "ZX-4471-Q", "2026-09-14", "Thermoline"],
        ["Mixer MX-40", "KM-2210-B", "2026-04-02", "Rondo Service"],
        ["Proofer PR-8", "PV-9035-A", "2027-01-20", "Thermoline"],
    ],
}


def write_pdf(path: Path, chapters: list[tuple[str, list[str]]]) -> None:
    styles = getSampleStyleSheet()
    story = []
    for title, paragraphs in chapters:
        story.append(Paragraph(title, styles["Heading1"]))
        for text in paragraphs:
            story += [Paragraph(text, styles["BodyText"]), Spacer(1, 10)]
        story.append(PageBreak())
    SimpleDocTemplate(str(path), pagesize=A4, title=chapters[0][0], author="Harbour Street Bakery", invariant=1).build(
        story
    )


def write_docx(path: Path) -> None:
    document = Document()
    document.add_heading("Allergens and Hygiene", level=1)
    for title, text in ALLERGENS:
        document.add_heading(title, level=2)
        document.add_paragraph(text)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Product", "Contains"
    for product, allergens in (
        ("Harbour loaf", "gluten"),
        ("Walnut crown", "gluten, nuts"),
        ("Custard slice", "gluten, milk, eggs"),
    ):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = product, allergens
    document.save(str(path))


def write_xlsx(path: Path) -> None:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in SUPPLIERS.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)


def main() -> None:
    FILES.mkdir(parents=True, exist_ok=True)
    write_pdf(FILES / "employee-handbook.pdf", HANDBOOK)
    write_pdf(FILES / "first-aid.pdf", FIRST_AID)
    write_docx(FILES / "allergens-and-hygiene.docx")
    write_xlsx(FILES / "suppliers-and-equipment.xlsx")


if __name__ == "__main__":
    main()
