"""LlamaCloudIndex: from documents, with a file, as a retriever."""

from connect import FOLDER, KEY, PROJECT, URL, report
from llama_cloud_services import LlamaCloudIndex
from llama_index.core.schema import Document

texts = {"crane": "The crane K-12 lifts 3,200 kilograms.", "rope": "Rope RX-9 is replaced every 18 months."}
documents = [Document(text=text, id_=name, metadata={"topic": name}) for name, text in texts.items()]
place = {"project_id": PROJECT, "api_key": KEY, "base_url": URL}
index = LlamaCloudIndex.from_documents(documents, name="services", **place)
index.upload_file(str(FOLDER / "anchors.md"), wait_for_ingestion=True)
opened = LlamaCloudIndex("services", **place)
nodes = opened.as_retriever(dense_similarity_top_k=3).retrieve("How much does the crane lift?")
anchors = opened.as_retriever(dense_similarity_top_k=3).retrieve("Which anchor holds?")
opened.insert(Document(text="Winch W-3 needs grease each week.", id_="winch"))
winch = opened.as_retriever(dense_similarity_top_k=2).retrieve("When does the winch need grease?")
opened.delete_ref_doc("rope")
report(
    best=nodes[0].text,
    topic=nodes[0].metadata.get("topic"),
    score=nodes[0].score,
    anchors=[each.text for each in anchors],
    winch=winch[0].text,
    documents=sorted(opened.ref_doc_info),
)
