"""Extraction as version 2 has it: a file and a schema."""

from connect import PROJECT, client, report, upload

cloud = client()
schema = {"type": "object", "properties": {"crane": {"type": "string"}, "kilograms": {"type": "integer"}}}
file_id = upload(cloud, "handbook.pdf")
job = cloud.extract.run(file_input=file_id, configuration={"data_schema": schema}, project_id=PROJECT)
report(status=job.status, data=job.extract_result)
