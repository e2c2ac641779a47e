"""Every file of a directory is parsed, in one job."""

from connect import PROJECT, client, report, upload, wait

cloud = client()
here = {"project_id": PROJECT}
batch, directories = cloud.beta.batch, cloud.beta.directories
directory = directories.create(name="batch", **here)
for name in ("handbook.pdf", "ropes.md", "anchors.md"):
    directories.files.add(directory.id, file_id=upload(cloud, name), **here)
config = {"job_name": "parse_raw_file_job", "parameters": {"target_pages": "0", "premium_mode": True}}


def run() -> tuple[object, float]:
    job = batch.create(job_config=config, directory_id=directory.id, **here)

    def ended() -> object:
        found = batch.get_status(job.id, **here)
        return found if found.job.status in ("completed", "failed", "cancelled") else None

    found = wait("the batch has ended", ended)
    return found.job, found.progress_percentage


first, progress = run()
items = list(batch.job_items.list(first.id, limit=2, **here))
pdf = next(each for each in items if each.item_name.endswith(".pdf"))
results = batch.job_items.get_processing_results(pdf.item_id, **here).processing_results
second, _ = run()
skipped = [each.skip_reason for each in batch.job_items.list(second.id, **here)]
report(
    status=first.status,
    counts=[first.total_items, first.processed_items, first.failed_items, first.skipped_items],
    progress=progress,
    items=sorted(each.item_name for each in items),
    states=sorted({each.status for each in items}),
    output=results[0].output_metadata,
    job_type=results[0].job_type,
    skipped=skipped,
    listed=[each.id for each in batch.list(limit=1, **here)] == [second.id, first.id]
    or sorted(each.id for each in batch.list(limit=1, **here)) == sorted([first.id, second.id]),
)
