"""A saved configuration, run over a directory."""

from connect import PROJECT, client, report, upload, wait

cloud = client()
here = {"project_id": PROJECT}
directory = cloud.beta.directories.create(name="batches", **here)
for name in ("handbook.pdf", "ropes.md"):
    cloud.beta.directories.files.add(directory.id, file_id=upload(cloud, name), **here)
parameters = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
saved = cloud.configurations.create(name="fast", parameters=parameters, **here)
config = {"job": {"type": "parse_v2", "configuration_id": saved.id}}
made = cloud.batches.create(source_directory_id=directory.id, config=config, **here)


def ended() -> object:
    found = cloud.batches.get(made.id, expand=["results"], **here)
    return found if found.status in ("COMPLETED", "FAILED", "CANCELLED") else None


done = wait("the batch has ended", ended)
parsed = [
    cloud.parsing.get(each.job_reference.id, expand=["markdown"], **here).markdown.pages[0].markdown
    for each in done.results
]
report(
    status=done.status,
    texts=sorted(parsed),
    listed=made.id in [each.id for each in cloud.batches.list(source_directory_id=directory.id, **here)],
    configurations=saved.id in [each.id for each in cloud.configurations.list(**here)],
)
