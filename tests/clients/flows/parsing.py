"""A file is uploaded and parsed in one call."""

from connect import FOLDER, PROJECT, client, report

cloud = client()
result = cloud.parsing.parse(
    tier="fast",
    version="latest",
    upload_file=FOLDER / "handbook.pdf",
    expand=["markdown", "text", "metadata"],
    project_id=PROJECT,
)
report(
    status=result.job.status,
    markdown=[each.markdown for each in result.markdown.pages],
    text=[each.text for each in result.text.pages],
)
