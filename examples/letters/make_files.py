"""Writes the letters of this example from the text below: `python examples/letters/make_files.py`.

The results are committed, so that the example needs no generator to run. Authority, firms and people do not exist.
"""

from dataclasses import dataclass, field
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

FILES = Path(__file__).parent / "files" / "letters"


@dataclass(frozen=True)
class Letter:
    """Each entry of `pages` is one page: (heading, paragraphs) pairs."""

    file: str
    number: str
    date: str
    to: list[str]
    subject: str
    pages: list[list[tuple[str, list[str]]]]
    copies: list[str] = field(default_factory=list)


LETTERS = [
    Letter(
        file="warning-letter-bellwether-dairy.pdf",
        number="WL-2026-0417",
        date="9 March 2026",
        to=["Bellwether Dairy Ltd", "Ms Oona Farrell, Managing Director", "4 Mill Race, Northam"],
        subject="Warning letter: control of Listeria in the soft cheese line",
        pages=[
            [
                (
                    "Inspection",
                    [
                        "From 12 to 16 January 2026 inspectors of the Northam Food Authority visited your dairy at 4 Mill Race. "
                        "They took 42 environmental swabs and 18 product samples. This letter lists what they found and what "
                        "you have to do.",
                        "Listeria monocytogenes was found in three of the 42 swabs: on the drain of the brine room, on the "
                        "wheel of trolley 7, and on the underside of the conveyor of packing line 2. None of the product "
                        "samples was positive.",
                    ],
                ),
                (
                    "First violation: temperature of the ripening room",
                    [
                        "Article 14 of the Dairy Hygiene Rules limits the ripening room to 8 degrees Celsius. The recorder "
                        "TR-11 shows 11.6 degrees for 31 hours on 3 and 4 January 2026. No corrective action was recorded.",
                    ],
                ),
            ],
            [
                (
                    "Second violation: cleaning records",
                    [
                        "Article 22 requires a signed record of every cleaning. Of the 90 days before the inspection, 17 have "
                        "no record for packing line 2. The shift leader explained that the forms had run out.",
                    ],
                ),
                (
                    "Affected lots",
                    [
                        "Lots BD-26-003 to BD-26-011 of the cheese Northam Blue were made while the conveyor was contaminated. "
                        "You stopped their sale on 17 January 2026 of your own accord, which we acknowledge. The lots must "
                        "be destroyed under supervision and must not be reworked.",
                    ],
                ),
            ],
            [
                (
                    "What you have to do",
                    [
                        "Within 15 working days of receiving this letter, and no later than 31 March 2026, send us a written "
                        "plan that names the cause, the corrective actions and the person responsible for each of them.",
                        "Swab packing line 2 weekly for twelve weeks and send us the results on the Monday after each week.",
                        "If the plan is not sent in time, the Authority may suspend the approval number NF-2208 without "
                        "further notice.",
                    ],
                ),
                (
                    "Contact",
                    [
                        "Your case officer is Inspector Tomas Reyle, telephone extension 3318. Quote WL-2026-0417 in every answer.",
                    ],
                ),
            ],
        ],
        copies=["Northam Environmental Health Department"],
    ),
    Letter(
        file="close-out-letter-bellwether-dairy.pdf",
        number="CO-2026-0098",
        date="7 July 2026",
        to=["Bellwether Dairy Ltd", "Ms Oona Farrell, Managing Director", "4 Mill Race, Northam"],
        subject="Close-out of warning letter WL-2026-0417",
        pages=[
            [
                (
                    "Evaluation",
                    [
                        "The Northam Food Authority has evaluated the corrective actions that you took in answer to our warning "
                        "letter WL-2026-0417. Based on our evaluation, the violations in that letter have been addressed.",
                        "Your plan reached us on 27 March 2026. You replaced the conveyor of packing line 2, moved the brine "
                        "room drain, and fitted the ripening room with an alarm at 7.5 degrees Celsius.",
                    ],
                ),
            ],
            [
                (
                    "Results of the weekly swabs",
                    [
                        "All 96 swabs of the twelve weeks were negative. Lots BD-26-003 to BD-26-011, 1,380 kilograms in all, "
                        "were destroyed on 2 April 2026 in the presence of Inspector Reyle.",
                    ],
                ),
                (
                    "What follows",
                    [
                        "This letter does not relieve you of the duty to keep to the rules. A follow-up inspection will take "
                        "place without notice before 31 December 2026.",
                    ],
                ),
            ],
        ],
    ),
    Letter(
        file="warning-letter-harrow-supplements.pdf",
        number="WL-2026-0433",
        date="2 April 2026",
        to=["Harrow Supplements GmbH", "Dr Emil Vossberg, Quality Director", "Lindenallee 20, Harrow"],
        subject="Warning letter: claims and composition of Calmora capsules",
        pages=[
            [
                (
                    "Claims on label and website",
                    [
                        "On 19 February 2026 we reviewed the label and the website of your food supplement Calmora. Both say "
                        "that Calmora 'heals insomnia in seven days'. A food supplement must not be said to prevent, treat or "
                        "cure a disease; with this claim Calmora counts as a medicine without approval.",
                    ],
                ),
                (
                    "Composition",
                    [
                        "Our laboratory found 9.1 milligrams of melatonin per capsule in lot CAL-5512. The label declares 1 "
                        "milligram. The permitted maximum for a daily serving is 2 milligrams.",
                    ],
                ),
            ],
            [
                (
                    "Manufacturing practice",
                    [
                        "You could not show an identity test for the incoming powder of supplier Qintar, delivered on 8 "
                        "January 2026 under batch Q-7731. Your procedure SOP-31 requires one for every delivery.",
                        "The blending time of lot CAL-5512 was 6 minutes instead of the validated 25 minutes.",
                    ],
                ),
                (
                    "What you have to do",
                    [
                        "Recall lot CAL-5512 down to the consumer. Report the quantity recovered every Friday, for the first time "
                        "on 10 April 2026.",
                        "Remove the claim from the website within 48 hours and from all labels by 30 June 2026.",
                        "A penalty of 12,500 crowns falls due for each day on which the claim stays on the website after that "
                        "time.",
                    ],
                ),
                ("Contact", ["Your case officer is Dr Hanne Iversen, telephone extension 3340."]),
            ],
        ],
    ),
    Letter(
        file="inspection-notice-quayside-smokehouse.pdf",
        number="IN-2026-1120",
        date="18 May 2026",
        to=["Quayside Smokehouse", "Mr Padraig Lunn", "Fish Quay 3, Tollmouth"],
        subject="Notice of inspection and request for documents",
        pages=[
            [
                (
                    "Inspection",
                    [
                        "Inspectors will visit the smokehouse at Fish Quay 3 on 9 June 2026 at 7:30. The visit will take two "
                        "days. Production must be running.",
                        "The reason is a notification of histamine in smoked mackerel, reference RN-88-214: 340 milligrams per "
                        "kilogram were measured, and the limit is 200.",
                    ],
                ),
            ],
            [
                (
                    "Documents",
                    [
                        "Please have ready: the temperature log of cold store 4 from 1 March 2026, the hazard analysis in its "
                        "current edition, the training records of all staff who gut fish, and the delivery notes of the vessel "
                        "Sea Lark.",
                        "Documents may be sent in advance to records@northamfood.example, quoting IN-2026-1120. Files over 25 "
                        "megabytes must be split.",
                    ],
                ),
                (
                    "Your rights",
                    [
                        "You may be accompanied by a lawyer. An objection to this notice does not delay the inspection and must be "
                        "lodged within ten days with the Review Board.",
                    ],
                ),
            ],
        ],
    ),
    Letter(
        file="exemption-granted-alder-brewing.pdf",
        number="EX-2026-0007",
        date="11 June 2026",
        to=["Alder Brewing Cooperative", "Ms Ruth Akande", "The Old Tannery, Northam"],
        subject="Exemption from individual allergen labels for returnable kegs",
        pages=[
            [
                (
                    "Decision",
                    [
                        "The exemption requested on 20 April 2026 is granted. Returnable kegs of 20 and 30 litres need no "
                        "allergen label of their own if the delivery note names barley, wheat and sulphites.",
                        "The exemption is valid from 1 July 2026 to 30 June 2029. It does not extend to bottles and cans.",
                    ],
                ),
            ],
            [
                (
                    "Conditions",
                    [
                        "Keep delivery notes for five years. Train draymen once a year in handing them over, and keep a list of "
                        "those trained.",
                        "The fee is 860 crowns, due within 30 days under the reference FEE-EX-0007.",
                    ],
                ),
                (
                    "Reasons",
                    [
                        "Kegs are sold to licensed houses only, which must show allergens to their guests themselves. A label "
                        "on the keg reaches no consumer.",
                    ],
                ),
            ],
        ],
    ),
]


def write_letter(letter: Letter) -> None:
    styles = getSampleStyleSheet()
    body, head = styles["BodyText"], styles["Heading2"]
    story: list[object] = [Paragraph("Northam Food Authority", styles["Title"])]
    story += [Paragraph(line, body) for line in letter.to]
    story += [Spacer(1, 0.4 * cm), Paragraph(f"{letter.date} · Reference {letter.number}", body)]
    story += [Paragraph(letter.subject, styles["Heading1"])]
    for number, page in enumerate(letter.pages):
        if number:
            story.append(PageBreak())
        for heading, paragraphs in page:
            story.append(Paragraph(heading, head))
            story += [Paragraph(text, body) for text in paragraphs]
    story += [Spacer(1, 0.6 * cm), Paragraph("For the Authority: Dr Maren Oduya, Head of Compliance", body)]
    story += [Paragraph(f"Copy: {name}", body) for name in letter.copies]
    document = SimpleDocTemplate(
        str(FILES / letter.file), pagesize=A4, title=letter.subject, author="Northam Food Authority", invariant=1
    )
    document.build(story)


if __name__ == "__main__":
    FILES.mkdir(parents=True, exist_ok=True)
    for each in LETTERS:
        write_letter(each)
