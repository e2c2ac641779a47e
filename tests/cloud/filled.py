"""An index with files in it, made without the routes that make indexes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from state.cloud.ids import DEFAULT_PROJECT_ID, new_id
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObjects
from state.cloud.projects import CloudProjects
from state.files import DatasetFiles
from tests.cloud.conftest import CloudWorld


@dataclass
class FilledIndex:
    cloud: CloudWorld
    collection: Collection

    @property
    def id(self) -> str:
        return self.collection.id

    @property
    def members(self) -> Members:
        return Members(CloudObjects(self.cloud.database))

    def put(
        self, name: str, content: bytes | str, metadata: Mapping[str, Any] | None = None, member_id: str = ""
    ) -> str:
        """Take in a file; its id in the index."""
        return self.put_all({name: content}, metadata, member_id)[0]

    def put_all(
        self, files: Mapping[str, bytes | str], metadata: Mapping[str, Any] | None = None, member_id: str = ""
    ) -> list[str]:
        """The same for several with the same metadata."""
        paths = self.cloud.projects.paths("llamacloud", self.collection.project_id).dataset(self.collection.dataset)
        place, made = self.collection.place, []
        for name, content in files.items():
            with DatasetFiles(paths).receive(50_000_000) as incoming:
                incoming.write(content.encode() if isinstance(content, str) else content)
                stored, _ = incoming.commit(name, None)
            self.cloud.generations.ensure(*place, {stored.hash: stored.original_file_name})
            made.append(Member(member_id or new_id("directory_file"), stored.hash, name, metadata=metadata or {}))
        self.cloud.dispatcher.start_ingest(
            namespace=place[0],
            project=place[1],
            dataset=place[2],
            config=CloudProjects(self.cloud.projects).load(self.collection.project_id),
            files=DatasetFiles(paths).list(),
        )
        self.cloud.settle()
        self.members.update(self.collection, made)
        return [each.id for each in made]

    def ask(self, query: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.cloud.http.post("/api/v1/retrieval/retrieve", json={"index_id": self.id, "query": query, **body})
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def tool(self, name: str, **body: Any) -> Any:
        answer = self.cloud.http.post(f"/api/v1/retrieval/files/{name}", json={"index_id": self.id, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()


def filled_index(
    cloud: CloudWorld, files: Mapping[str, bytes | str] | None = None, *, project_id: str = DEFAULT_PROJECT_ID
) -> FilledIndex:
    made = Collection(new_id("index"), "index", project_id)
    projects = CloudProjects(cloud.projects)
    projects.ensure(project_id)
    projects.add_database(project_id, made.database)
    CloudObjects(cloud.database).insert("index", made.id, project_id=project_id, name="files", body={})
    index = FilledIndex(cloud, made)
    if files:
        index.put_all(files)
    return index


def files_of(results: Sequence[Mapping[str, Any]]) -> list[str]:
    return [each["static_fields"]["file_name"] for each in results]
