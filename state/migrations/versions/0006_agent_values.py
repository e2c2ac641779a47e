"""agent data: smaller indexes of its values, and one for the time of the last change"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY_CHARS = 32
"""Of the digest of a place, which every value repeats, in its row and in the indexes."""
HAS_REAL = sa.text("real IS NOT NULL")


def upgrade() -> None:
    _drop_indexes()
    values = sa.table("agent_value", sa.column("place", sa.String()))
    op.execute(values.update().values(place=sa.func.substr(values.c.place, 1, KEY_CHARS)))
    op.create_index(
        "ix_agent_value_real",
        "agent_value",
        ["place", "path", "real", "number"],
        unique=False,
        sqlite_where=HAS_REAL,
        postgresql_where=HAS_REAL,
    )
    op.create_index("ix_agent_value_text", "agent_value", ["place", "path", "text", "number"], unique=False)
    op.create_index(
        "ix_agent_data_updated",
        "agent_data",
        ["project_id", "deployment", "collection", "updated_at", "number"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_agent_data_updated", table_name="agent_data")
    _drop_indexes()
    connection = op.get_bind()
    places = connection.execute(sa.text("SELECT DISTINCT project_id, deployment, collection FROM agent_data")).all()
    for place in places:
        names = json.dumps(list(place), ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(names.encode()).hexdigest()
        whole = sa.text("UPDATE agent_value SET place = :digest WHERE place = :beginning")
        connection.execute(whole, {"digest": digest, "beginning": digest[:KEY_CHARS]})
    op.create_index("ix_agent_value_real", "agent_value", ["place", "path", "real", "number"], unique=False)
    op.create_index("ix_agent_value_text", "agent_value", ["place", "path", "text", "number"], unique=False)


def _drop_indexes() -> None:
    op.drop_index("ix_agent_value_text", table_name="agent_value")
    op.drop_index("ix_agent_value_real", table_name="agent_value")
