"""deploy/postgresql/roles.sql: the service's own role cannot alter or delete what the audit holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.functional.company import company
from tests.functional.server import chat
from tests.functional.test_cli import vlpro
from tests.postgresql import Cluster, with_pgvector
from vlpro.identity.permissions import Role

ROLES = Path(__file__).parents[2] / "deploy" / "postgresql" / "roles.sql"


def test_the_service_cannot_alter_the_audit(pgvector: Cluster, tmp_path: Path) -> None:
    admin = pgvector.new()

    def grant() -> None:
        command = [
            "psql",
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            "-v",
            "owner_password='o'",
            "-v",
            "app_password='a'",
        ]
        done = subprocess.run(
            [*command, admin, "-f", str(ROLES)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    grant()
    owner, app = (admin.replace("postgres@", f"{role}@") for role in ("vlpro_owner", "vlpro_app"))
    (tmp_path / "key").write_text("ab" * 32)
    (tmp_path / "key").chmod(0o600)
    settings = {
        "VLPRO_PROFILE": "mlps3",
        "VLPRO_PUBLIC_URL": "https://localhost",
        "VLPRO_TRUSTED_PROXIES": '["unix"]',
        "VLPRO_KEY_FILE": str(tmp_path / "key"),
        "VLPRO_DATABASE_URL": owner,
        "VLPRO_KNOWLEDGE": '{"index": "postgres"}',
    }
    done = vlpro("migrate", **settings)
    assert done.returncode != 0
    assert "CREATE EXTENSION IF NOT EXISTS vector;" in done.stderr
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    done = vlpro("migrate", **settings)
    assert done.returncode == 0, done.stderr
    grant()
    with company(tmp_path, app, knowledge={"index": "postgres"}) as firm, firm.client(Role.USER) as li:
        assert li.post("/v1/chat/completions", json=chat("hi")).status_code == 200
        at = {"VLPRO_DATABASE_URL": app, "VLPRO_DATA_DIR": str(tmp_path / "data")}
        programs = {"PATH": f"{with_pgvector()}/bin:{os.environ['PATH']}"}  # pg_dump of the server's version
        done = vlpro("backup", "--to", tmp_path / "one.vlbackup", **settings | at | programs)
        assert done.returncode == 0, done.stderr
        with psycopg.connect(app.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
            count = connection.execute("SELECT count(*) FROM audit_records").fetchone()
            assert count is not None
            assert count[0] > 3
            for statement in (
                "UPDATE audit_records SET login = 'x'",
                "DELETE FROM audit_records",
                "TRUNCATE audit_records",
                "DROP TABLE audit_records",
                "ALTER TABLE audit_records ADD COLUMN x int",
                "UPDATE audit_checkpoints SET data = ''",
                "DELETE FROM audit_checkpoints",
                "DELETE FROM audit_contents",
                "UPDATE policies SET note = 'x'",
                "DELETE FROM policies",
                "UPDATE audit_version SET version_num = 'x'",
                "CREATE TABLE mine (x int)",
                "DROP TABLE knowledge_vectors",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
