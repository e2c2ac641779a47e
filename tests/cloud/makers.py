"""Files and directories as the API would make them, for tests of what is built on them."""

from typing import Any

from state.cloud.blobs import CloudFiles
from state.cloud.ids import DEFAULT_PROJECT_ID, new_id
from state.cloud.objects import CloudObjects
from state.cloud.projects import CloudProjects
from state.cloud.shelf import FileShelf
from tests.cloud.conftest import CloudWorld


def objects_of(cloud: CloudWorld) -> CloudObjects:
    return CloudObjects(cloud.database)


def make_file(cloud: CloudWorld, name: str, content: str | bytes, project_id: str = DEFAULT_PROJECT_ID) -> str:
    """The id of an uploaded file."""
    CloudProjects(cloud.projects).ensure(project_id)
    files = CloudFiles.of(cloud.settings, project_id)
    with files.receive(10_000_000) as incoming:
        incoming.write(content.encode() if isinstance(content, str) else content)
        return FileShelf(objects_of(cloud), files, project_id).put(incoming, name, None, {}).id


def make_directory(cloud: CloudWorld, project_id: str = DEFAULT_PROJECT_ID, name: str = "papers") -> str:
    CloudProjects(cloud.projects).ensure(project_id)
    found = objects_of(cloud).insert(
        "directory", new_id("directory"), project_id=project_id, name=name, body={"type": "user", "description": None}
    )
    return found.id


def put_into(cloud: CloudWorld, directory_id: str, file_id: str, **metadata: Any) -> str:
    """The id of a directory file."""
    objects = objects_of(cloud)
    directory, file = objects.get("directory", directory_id), objects.get("file", file_id)
    made = objects.insert(
        "directory_file",
        new_id("directory_file"),
        project_id=directory.project_id,
        parent_id=directory_id,
        name=file.name,
        ref=file_id,
        body={"file_hash": file.ref, "unique_id": file_id, "metadata": metadata, "system_metadata": {}},
    )
    return made.id


def describe(cloud: CloudWorld, directory_file_id: str, **metadata: Any) -> None:
    """Change the metadata of a directory file."""
    objects_of(cloud).edit_body("directory_file", directory_file_id, metadata=metadata)


def take_out(cloud: CloudWorld, directory_file_id: str) -> None:
    objects_of(cloud).mark_deleted("directory_file", directory_file_id)
