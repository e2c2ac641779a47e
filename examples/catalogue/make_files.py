"""Writes the tables of this example: `python examples/catalogue/make_files.py`.

The results are committed, so that the example needs no generator to run. Fellside Outfitters does not exist.
"""

import csv
from pathlib import Path

from openpyxl import Workbook

FILES = Path(__file__).parent / "files" / "products"

COLUMNS = ["sku", "name", "category", "price", "weight_g", "in_stock", "description"]
PRODUCTS = [
    ("FT-1010", "Pinewood 1", "tents", 189.00, 1450, 12, "Solo tent for three seasons with a porch that holds a rucksack."),
    ("FT-1020", "Pinewood 2", "tents", 249.00, 2100, 8, "Two-person tent for three seasons; two doors, two porches."),
    ("FT-1030", "Pinewood 3", "tents", 319.00, 2900, 0, "Three-person tent with room to stand bent; sewn-in groundsheet."),
    ("FT-2010", "Stormcock 2", "tents", 589.00, 2750, 4, "Geodesic two-person tent for winter and high camps; snow valances."),
    ("FT-2020", "Stormcock 4", "tents", 899.00, 5200, 2, "Expedition base tent for four with a tunnel porch and a stove panel."),
    ("FT-3010", "Gossamer 1", "tents", 429.00, 690, 6, "Ultralight shelter for one, pitched with a trekking pole."),
    ("FB-1010", "Heather 5", "sleeping bags", 119.00, 980, 20, "Synthetic bag for summer; comfort limit 5 degrees."),
    ("FB-1020", "Heather 0", "sleeping bags", 149.00, 1280, 14, "Synthetic bag for spring and autumn; comfort limit 0 degrees."),
    ("FB-2010", "Ptarmigan -7", "sleeping bags", 329.00, 1090, 9, "Goose down, 800 fill; comfort limit minus 7 degrees."),
    ("FB-2020", "Ptarmigan -18", "sleeping bags", 469.00, 1490, 3, "Goose down for expeditions; comfort limit minus 18 degrees."),
    ("FB-3010", "Otter liner", "sleeping bags", 39.00, 140, 31, "Silk liner that adds three degrees and keeps the bag clean."),
    ("FM-1010", "Moss mat", "mats", 24.00, 380, 40, "Closed-cell foam mat, R-value 2.0; cannot be punctured."),
    ("FM-2010", "Cloud mat", "mats", 139.00, 480, 11, "Inflatable mat with R-value 4.3; pump sack included."),
    ("FM-2020", "Cloud mat winter", "mats", 199.00, 640, 5, "Inflatable mat with R-value 7.1 for snow."),
    ("FS-1010", "Ember canister stove", "stoves", 49.00, 95, 25, "Screw-on gas stove; boils a litre in 3 minutes 40."),
    ("FS-1020", "Ember remote stove", "stoves", 89.00, 210, 9, "Gas stove with a hose; the canister may be inverted in the cold."),
    ("FS-2010", "Kiln multifuel stove", "stoves", 179.00, 340, 4, "Burns petrol, paraffin and gas; field-serviceable jet."),
    ("FS-3010", "Twig wood stove", "stoves", 59.00, 310, 0, "Folding wood stove of titanium; no fuel to carry."),
    ("FC-1010", "Nest pot 0.9", "cookware", 34.00, 160, 22, "Pot for one of hard-anodised aluminium with a lid that strains."),
    ("FC-1020", "Nest pot set", "cookware", 79.00, 560, 10, "Two pots, a pan and a gripper for groups of up to four."),
    ("FL-1010", "Firefly 200", "lights", 29.00, 70, 50, "Headlamp with 200 lumens and a red mode; three AAA cells."),
    ("FL-1020", "Firefly 500", "lights", 74.00, 105, 18, "Headlamp with 500 lumens; rechargeable by USB-C, IPX7."),
    ("FL-2010", "Lantern dome", "lights", 44.00, 180, 0, "Hanging lantern with warm light, 40 hours on low."),
    ("FR-1010", "Curlew 35", "rucksacks", 129.00, 1100, 13, "Day sack of 35 litres with a ventilated back."),
    ("FR-1020", "Curlew 55", "rucksacks", 189.00, 1750, 7, "Trekking rucksack of 55 litres; adjustable back length."),
    ("FR-2010", "Merlin 45", "rucksacks", 259.00, 880, 5, "Lightweight rucksack of 45 litres; roll-top, no frame sheet."),
    ("FN-1010", "Baseplate compass", "navigation", 27.00, 38, 33, "Compass with a magnifier and a clinometer; needle for the north."),
    ("FN-1020", "Map case", "navigation", 19.00, 85, 27, "Waterproof case for folded maps up to A3."),
    ("FW-1010", "Spring filter", "water", 69.00, 95, 16, "Hollow-fibre filter of 0.1 micrometres; 1,000 litres."),
    ("FW-2010", "Spring tablets", "water", 9.50, 20, 80, "Chlorine dioxide tablets for 30 litres; 30 minutes."),
]  # fmt: skip

PARTS = [
    ("FP-7001", "Pole section 8.5 mm", "Pinewood 1, Pinewood 2", 7.50, "B-07", "Slide the elastic through before seating the ferrule."),
    ("FP-7002", "Pole section 9.6 mm", "Stormcock 2, Stormcock 4", 11.00, "B-08", "Only from serial number 24000."),
    ("FP-7010", "Valve for Cloud mats", "Cloud mat, Cloud mat winter", 5.00, "C-02", "Warm the glue to 30 degrees."),
    ("FP-7020", "Jet 0.28 mm", "Kiln multifuel stove", 6.50, "D-11", "For paraffin; tighten with 2 newton metres."),
    ("FP-7021", "Jet 0.37 mm", "Kiln multifuel stove", 6.50, "D-11", "For petrol; tighten with 2 newton metres."),
    ("FP-7030", "Seam sealer 28 g", "all tents", 8.00, "A-01", "Cures in eight hours."),
]  # fmt: skip

SUPPLIERS = [
    ("Tarn Textiles", "tents, rucksacks", "Agnes Holm", "21 days", "Closed in the first two weeks of August."),
    ("Downland Feather Co", "sleeping bags", "Piet Maas", "35 days", "Certificate of origin with every delivery."),
    ("Brightspark Metals", "stoves, cookware", "Lucía Ferrer", "14 days", "Dangerous goods are sent separately."),
]


def write_products() -> None:
    with (FILES / "products.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows((sku, name, kind, f"{price:.2f}", *rest) for sku, name, kind, price, *rest in PRODUCTS)


def write_workbook() -> None:
    workbook = Workbook()
    parts = workbook.active
    assert parts is not None
    parts.title = "Spare parts"
    parts.append(["sku", "part", "fits", "price", "shelf", "note"])
    for row in PARTS:
        parts.append(row)
    suppliers = workbook.create_sheet("Suppliers")
    suppliers.append(["supplier", "supplies", "contact", "lead_time", "note"])
    for row in SUPPLIERS:
        suppliers.append(row)
    workbook.save(FILES / "spare-parts-and-suppliers.xlsx")


if __name__ == "__main__":
    FILES.mkdir(parents=True, exist_ok=True)
    write_products()
    write_workbook()
