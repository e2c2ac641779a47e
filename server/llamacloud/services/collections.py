"""What indexes, pipelines, their files, documents and sources have in common: members, and a sync after a change."""

from collections.abc import Callable, Mapping, Sequence

from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.members import MemberLists
from state.cloud.collections import Collections, CollectionStatus, collection_of
from state.cloud.index_fields import FIELDS, jobs_of
from state.cloud.jobs import CloudJob
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObject
from state.cloud.tallies import Tally, tallies


class CollectionService:
    def __init__(self, cloud: CloudEngine) -> None:
        self.cloud = cloud
        self.collections = Collections(cloud.engine.database)
        self.members = Members(cloud.objects)
        self._lists = MemberLists(cloud)

    def members_of(self, collection: Collection) -> Sequence[Member]:
        """In the order in which they were added. Not to be changed."""
        return self._lists.all(collection)

    def tallies(self, collections: Sequence[CloudObject]) -> Mapping[str, Tally]:
        """Of those, all of one kind, that are at rest: what a list tells without a look at each file."""
        return tallies(self.cloud.engine.database, collections)

    def put(self, collection: Collection, members: Sequence[Member]) -> CloudJob:
        """Add members or replace those of the same id, and start a sync; returns the sync's job.

        Raises:
            UpstreamError: the broker does not answer; nothing was changed.
        """
        return self._changed(collection, lambda: self.members.update(collection, put=members))

    def take_away(self, collection: Collection, ids: Sequence[str]) -> CloudJob:
        """Remove members: searches do not find them any more, and a sync removes their chunks."""
        return self._changed(collection, lambda: self.members.update(collection, remove=ids))

    def status(self, collection: Collection) -> CollectionStatus:
        """Of the collection and of each file in it; `status.of(member.file_hash)` is one file's."""
        return self.collections.status(self.collections.get(collection.kind, collection.id))

    def status_of(self, found: CloudObject) -> CollectionStatus:
        return self.collections.status(found)

    def start_sync(self, collection: Collection) -> CloudJob:
        """A request during a running sync is served by that one."""
        return self._changed(collection, lambda: None)

    def cancel_sync(self, found: CloudObject) -> None:
        """End the sync that runs, and the ingests that it started; what they had written is taken back."""
        status = self.collections.status(found)
        dispatcher, collection = self.cloud.engine.dispatcher, collection_of(found)
        if status.job is not None and not status.job.is_final:
            self.cloud.jobs.cancel(status.job.kind, status.job.id)
        for each in self.cloud.jobs.all(FIELDS, jobs_of(collection)):
            self.cloud.jobs.cancel(FIELDS, each.id)
        for task_id in status.tasks:
            dispatcher.cancel(*collection.place[:2], task_id)

    def delete(self, collection: Collection) -> None:
        """Gone at once; vectors, postings, parsed text and entries in the YAML go in the background. Files stay."""
        self.cloud.engine.dispatcher.check_broker()
        self.collections.drop(collection)
        self.cloud.engine.dispatcher.announce_jobs(["ask"])

    def _changed(self, collection: Collection, change: Callable[[], None]) -> CloudJob:
        self.cloud.engine.dispatcher.check_broker()
        change()
        job, is_new = self.collections.request_sync(collection)
        if is_new:
            self.cloud.engine.dispatcher.announce_jobs([job.stage])
        return job
