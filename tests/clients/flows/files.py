"""Files and directories, with any of the generated packages."""

from typing import Any

from connect import FOLDER, PROJECT, client, fetch, report, upload, wait

cloud = client()
files, directories = cloud.files, cloud.beta.directories
file_id = upload(cloud, "handbook.pdf")
listed = [each.id for each in files.list(project_id=PROJECT, page_size=1)]
found = files.query(filter={"file_ids": [file_id]}, project_id=PROJECT) if hasattr(files, "query") else None
content = getattr(files, "content", None) or files.get
link = content(file_id, project_id=PROJECT, expires_at_seconds=60)
is_same = fetch(link.url) == (FOLDER / "handbook.pdf").read_bytes()

source = directories.create(name="source", description="papers", project_id=PROJECT)
target = directories.create(name="target", project_id=PROJECT)
renamed = directories.update(source.id, name="renamed", project_id=PROJECT)
with (FOLDER / "ropes.md").open("rb") as stream:
    uploaded = directories.files.upload(source.id, upload_file=stream, unique_id="ropes-1", project_id=PROJECT)
added = directories.files.add(source.id, file_id=file_id, display_name="the handbook.pdf", project_id=PROJECT)
# A page of one at a time: its iterator has to find its way.
names = sorted(each.display_name for each in directories.files.list(source.id, project_id=PROJECT, page_size=1))


def moved() -> Any:
    update = directories.files.update
    try:
        return update(added.id, directory_id=source.id, target_directory_id=target.id, project_id=PROJECT)
    except TypeError:  # older packages call both by one name
        return update(added.id, path_directory_id=source.id, body_directory_id=target.id, project_id=PROJECT)


place = moved().directory_id
directories.files.delete(uploaded.id, directory_id=source.id, project_id=PROJECT)
left = [each.id for each in directories.files.list(source.id, project_id=PROJECT)]
directories.delete(source.id, project_id=PROJECT)
remaining = [each.id for each in directories.list(project_id=PROJECT)]
other = [each.id for each in files.list(project_id=f"{PROJECT}-other")]
files.delete(file_id, project_id=PROJECT)
wait("the file is gone", lambda: file_id not in [each.id for each in files.list(project_id=PROJECT)])
projects = [each.id for each in cloud.projects.list()]
report(
    file_id=file_id,
    listed=listed,
    queried=None if found is None else [each.id for each in found.items],
    is_same=is_same,
    renamed=renamed.name,
    unique_id=uploaded.unique_id,
    names=names,
    is_moved=place == target.id,
    left=left,
    remaining=remaining == [target.id],
    other=other,
    projects=projects,
)
