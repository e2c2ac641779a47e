"""A directory becomes an index: retrieve, find, grep, read, and a chat over it."""

import json

from connect import FOLDER, PROJECT, client, report, resource, upload, wait

cloud = client()
indexes, retrieval, chat = (resource(cloud, name) for name in ("indexes", "retrieval", "chat"))
here = {"project_id": PROJECT}
directory = cloud.beta.directories.create(name="manuals", **here)
for name, metadata in (("handbook.pdf", {"year": 2024}), ("ropes.md", {"year": 2025})):
    cloud.beta.directories.files.add(directory.id, file_id=upload(cloud, name), metadata=metadata, **here)
index = indexes.create(source_directory_id=directory.id, description="manuals", **here)
wait("the index is built", lambda: indexes.get(index.id, **here).last_exported_at)

results = retrieval.retrieve(index_id=index.id, query="How much does the crane lift?", top_k=2, **here).results
best = results[0]
fields = best.static_fields
text = retrieval.read(index_id=index.id, file_id=fields.parsed_directory_file_id, **here).content
year = {"year": {"operator": "gte", "value": 2025}}
filtered = retrieval.retrieve(index_id=index.id, query="crane", custom_filters=year, **here).results

if hasattr(retrieval, "find"):
    found = [each.file_name for each in retrieval.find(index_id=index.id, file_name_contains="ROPES", **here)]
    matches = list(retrieval.grep(index_id=index.id, file_id=fields.parsed_directory_file_id, pattern=r"K-\d+", **here))
else:
    answer = retrieval.search(index_id=index.id, file_name_contains="ROPES", **here)
    found = [each.file_name for each in answer.files]
    wanted = {"index_id": index.id, "file_id": fields.parsed_directory_file_id, "pattern": r"K-\d+"}
    matches = retrieval.grep(**wanted, **here).matches

with (FOLDER / "anchors.md").open("rb") as stream:
    cloud.beta.directories.files.upload(directory.id, upload_file=stream, **here)
indexes.sync(index.id, **here)


def anchors() -> list[str]:
    hits = retrieval.retrieve(index_id=index.id, query="anchor AQ-7", top_k=1, **here).results
    return [each.content for each in hits if "AQ-7" in each.content]


after_sync = wait("the new file is found", anchors)

session_id = chat.create(index_ids=[index.id], **here).session_id
question = {"index_ids": [index.id], "prompt": "How much does the crane K-12 lift?"}
whole = chat.stream(session_id, **question, **here)
with chat.with_streaming_response.stream(session_id, index_ids=[index.id], prompt="And the rope?", **here) as response:
    lines = [line for line in response.iter_lines() if line.startswith("data:")]
    kind = response.headers["content-type"]
events = [json.loads(line.removeprefix("data:")) for line in lines if line.strip() != "data: [DONE]"]
if hasattr(chat, "set_title"):
    chat.set_title(session_id, first_message="What the crane lifts", **here)
history = chat.retrieve(session_id, **here)
summary = chat.get_summary(session_id, **here)
sessions = [each.session_id for each in chat.list(page_size=1, **here)]
chat.delete(session_id, **here)
gone = [each.session_id for each in chat.list(page_size=1, **here)]
indexes.delete(index.id, **here)
report(
    content=best.content,
    is_exact=text[fields.chunk_start_char : fields.chunk_end_char] == best.content,
    page=fields.page_range_start,
    year=best.metadata.get("year"),
    filtered=sorted({each.metadata.get("year") for each in filtered}),
    found=found,
    matches=[text[each.start_char : each.end_char] for each in matches],
    after_sync=after_sync,
    whole=str(whole),
    kind=kind,
    events=[each.get("type") for each in events],
    title=summary.generated_title,
    history=[each.type for each in history.events],
    bound=summary.index_ids == [index.id],
    is_listed=session_id in sessions,
    is_gone=session_id not in gone,
)
