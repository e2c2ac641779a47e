"""A PDF of two kinds of pages, cut where the kind changes."""

from connect import PROJECT, client, report, resource, upload, wait

cloud = client()
here = {"project_id": PROJECT}
file_id = upload(cloud, "mixed.pdf")
categories = [
    {"name": "invoice", "description": "An invoice: amounts to be paid, invoice number, due date, bank account"},
    {"name": "recipe", "description": "A recipe: ingredients, flour, oven, how a dish is cooked"},
]
split = cloud.beta.split
job = (
    split.split(categories=categories, document_input={"type": "file_id", "value": file_id}, **here)
    if hasattr(split, "split")
    else None
)
newest = getattr(cloud, "split", None)
if newest is not None:
    made = newest.create(file_input=file_id, configuration={"categories": categories}, **here)
    job = wait(
        "the split has ended",
        lambda: (
            (found := newest.get(made.id, **here)).status.lower() != "pending"
            and found.status.lower() not in ("processing", "running")
            and found
        ),
    )
listed = [each.id for each in resource(cloud, "split").list(page_size=1, **here)]
report(
    status=job.status,
    segments=[[each.category, each.pages] for each in job.result.segments],
    is_listed=job.id in listed,
)
