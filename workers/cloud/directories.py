"""What an index takes from its directory: one member for each file that is in it now."""

from collections.abc import Mapping
from typing import Any

from rag.errors import InvalidInputError
from state.cloud.index_fields import EXTRACTED
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObject, CloudObjects, Wanted

DIRECTORY_FILE = "directory_file"


def take_in_directory(objects: CloudObjects, collection: Collection, index: CloudObject) -> set[str]:
    """Have the members be what the directory holds; returns hashes that no member has any more.

    Raises:
        InvalidInputError: the directory was deleted; members and chunks stay as they are.
    """
    directory_id = index.body["source_directory_id"]
    if not objects.by_ids("directory", [directory_id]):
        raise InvalidInputError(
            f"its directory {directory_id} was deleted: what was built stays and can be searched; "
            "delete the index, or make one over another directory"
        )
    members = Members(objects)
    before = {each.id: each for each in members.all(collection)}
    held = objects.all(DIRECTORY_FILE, Wanted(parent_id=index.body["source_directory_id"]))
    now = {each.id: _member(each, before.get(each.id)) for each in held}
    changed = [each for each in now.values() if _facts(each) != _facts(before.get(each.id))]
    gone = [each for each in before if each not in now]
    if changed or gone:
        members.update(collection, put=changed, remove=gone)
    return {each.file_hash for each in before.values()} - {each.file_hash for each in now.values()}


def merged(found: CloudObject, extracted: Mapping[str, Any]) -> dict[str, Any]:
    """What a user says of a file goes before what the system says, and that before what a model has read."""
    return {**extracted, **(found.body.get("system_metadata") or {}), **(found.body.get("metadata") or {})}


def _member(found: CloudObject, before: Member | None) -> Member:
    file_hash = str(found.body.get("file_hash") or "")
    is_same = before is not None and before.file_hash == file_hash
    extra = dict(before.extra) if before is not None and is_same else {}
    return Member(
        id=found.id,
        file_hash=file_hash,
        name=found.name or found.id,
        file_id=found.ref,
        metadata=merged(found, (extra.get(EXTRACTED) or {}).get("data") or {}),
        extra=extra,
    )


def _facts(member: Member | None) -> tuple[Any, ...] | None:
    if member is None:
        return None
    return member.file_hash, member.name, member.file_id, dict(member.metadata), dict(member.extra)
