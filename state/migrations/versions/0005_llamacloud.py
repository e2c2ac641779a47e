"""objects, jobs, events and agent data of the LlamaCloud API; keys of the server"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "agent_data",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=False),
        sa.Column("deployment", sa.String(length=300), nullable=False),
        sa.Column("collection", sa.String(length=300), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(
        "ix_agent_data_place",
        "agent_data",
        ["project_id", "deployment", "collection", "created_at", "number"],
        unique=False,
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("namespace", sa.String(length=100), nullable=True),
        sa.Column("project", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "cloud_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("session_id", sa.String(length=100), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cloud_event_session", "cloud_event", ["session_id", "id"], unique=False)
    op.create_table(
        "cloud_job",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=False),
        sa.Column("parent_id", sa.String(length=100), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("item_key", sa.String(length=200), nullable=True),
        sa.Column("params_hash", sa.String(length=64), nullable=True),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=100), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("cancelled_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_cloud_job_due",
        "cloud_job",
        ["state", "stage", "priority", "created_at", "position"],
        unique=False,
    )
    op.create_index("ix_cloud_job_open", "cloud_job", ["parent_id", "state"], unique=False)
    op.create_index("ix_cloud_job_lease", "cloud_job", ["state", "lease_until"], unique=False)
    op.create_index("ix_cloud_job_parent", "cloud_job", ["parent_id", "position"], unique=False)
    op.create_index("ix_cloud_job_project", "cloud_job", ["kind", "project_id", "created_at", "id"], unique=False)
    op.create_index("ix_cloud_job_same", "cloud_job", ["kind", "item_key", "params_hash"], unique=False)
    op.create_table(
        "cloud_object",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=False),
        sa.Column("parent_id", sa.String(length=100), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("ref", sa.String(length=200), nullable=True),
        sa.Column("unique_key", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("deleted_at", sa.Float(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", "kind"),
        sa.UniqueConstraint("kind", "unique_key"),
    )
    op.create_index("ix_cloud_object_parent", "cloud_object", ["kind", "parent_id", "created_at", "id"], unique=False)
    op.create_index("ix_cloud_object_project", "cloud_object", ["kind", "project_id", "created_at", "id"], unique=False)
    op.create_index("ix_cloud_object_ref", "cloud_object", ["kind", "ref"], unique=False)
    op.create_table(
        "agent_value",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("text", sa.String(length=300).with_variant(sa.String(length=300, collation="C"), "postgresql"), nullable=True),
        sa.Column("real", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["number"], ["agent_data.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_agent_value_number"), "agent_value", ["number"], unique=False)
    op.create_index("ix_agent_value_real", "agent_value", ["place", "path", "real", "number"], unique=False)
    op.create_index("ix_agent_value_text", "agent_value", ["place", "path", "text", "number"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_agent_value_text", table_name="agent_value")
    op.drop_index("ix_agent_value_real", table_name="agent_value")
    op.drop_index(op.f("ix_agent_value_number"), table_name="agent_value")
    op.drop_table("agent_value")
    op.drop_index("ix_cloud_object_ref", table_name="cloud_object")
    op.drop_index("ix_cloud_object_project", table_name="cloud_object")
    op.drop_index("ix_cloud_object_parent", table_name="cloud_object")
    op.drop_table("cloud_object")
    op.drop_index("ix_cloud_job_same", table_name="cloud_job")
    op.drop_index("ix_cloud_job_project", table_name="cloud_job")
    op.drop_index("ix_cloud_job_parent", table_name="cloud_job")
    op.drop_index("ix_cloud_job_lease", table_name="cloud_job")
    op.drop_index("ix_cloud_job_open", table_name="cloud_job")
    op.drop_index("ix_cloud_job_due", table_name="cloud_job")
    op.drop_table("cloud_job")
    op.drop_index("ix_cloud_event_session", table_name="cloud_event")
    op.drop_table("cloud_event")
    op.drop_table("api_key")
    op.drop_index("ix_agent_data_place", table_name="agent_data")
    op.drop_table("agent_data")
