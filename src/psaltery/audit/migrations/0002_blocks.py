"""The audit log's hash chain: blocks beside the entries, which are never rewritten for it."""

import django.contrib.postgres.fields
from django.db import migrations, models

# docs/decisions/audit-chain-in-blocks.md says why the chain does not stand in the entries.
REFUSE_ALL = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entries is append-only';
END $$;
ALTER TABLE audit_entries DROP COLUMN digest;
"""

BACK = """
ALTER TABLE audit_entries ADD COLUMN digest text NOT NULL DEFAULT '';
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_entries")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REFUSE_ALL, BACK)],
            state_operations=[migrations.RemoveField("entry", "digest")],
        ),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("month", models.DateField()),
                ("after_id", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("entries", models.PositiveIntegerField()),
                (
                    "ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                ("hashes", models.BinaryField()),
                ("previous", models.CharField(max_length=64, blank=True)),
                ("digest", models.CharField(max_length=64)),
                ("sealed_at", models.DateTimeField()),
                ("dropped", models.BooleanField(default=False)),
            ],
            options={"db_table": "audit_blocks", "ordering": ["number"]},
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("took_ms", models.PositiveIntegerField()),
                ("asked_by", models.CharField(max_length=255)),
                ("since", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                ("blocks", models.PositiveBigIntegerField()),
                ("entries", models.PositiveBigIntegerField()),
                ("unsealed", models.PositiveBigIntegerField()),
                ("head", models.CharField(max_length=100, blank=True)),
                ("count", models.PositiveBigIntegerField()),
                ("problems", models.JSONField(default=list)),
            ],
            options={
                "db_table": "audit_verifications",
                "indexes": [models.Index(fields=["-at"], name="audit_verified_newest")],
            },
        ),
    ]
