"""Files are given one of several kinds."""

from connect import PROJECT, client, report, upload

cloud = client()
ids = [upload(cloud, name) for name in ("invoice.md", "recipe.md")]
rules = [
    {"type": "invoice", "description": "An invoice: amounts to be paid, invoice number, due date, bank account"},
    {"type": "recipe", "description": "A recipe: ingredients, flour, oven, how a dish is cooked"},
]
done = cloud.classifier.classify(file_ids=ids, rules=rules, project_id=PROJECT)
kinds = {each.file_id: each.result.type for each in done.items}
report(kinds=[kinds[each] for each in ids])
