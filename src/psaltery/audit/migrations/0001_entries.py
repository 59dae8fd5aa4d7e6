"""The audit log: partitioned by month, append-only by triggers, searched by trigrams."""

import django.contrib.postgres.fields
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models

CREATE = """
CREATE SEQUENCE audit_entries_id_seq AS bigint;
CREATE TABLE audit_entries (
    id bigint NOT NULL DEFAULT nextval('audit_entries_id_seq'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    kind varchar(10) NOT NULL,
    system text NOT NULL DEFAULT '',
    organisation_id bigint,
    organisation text NOT NULL DEFAULT '',
    operation text NOT NULL DEFAULT '',
    method text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    status integer,
    duration_ms integer,
    bytes_out bigint,
    bytes_in bigint,
    document_kind text NOT NULL DEFAULT '',
    documents text[] NOT NULL DEFAULT '{}',
    customer text NOT NULL DEFAULT '',
    sentence text NOT NULL DEFAULT '',
    failed boolean NOT NULL DEFAULT false,
    request text NOT NULL DEFAULT '',
    response text NOT NULL DEFAULT '',
    found_by text NOT NULL DEFAULT '',
    digest text NOT NULL DEFAULT '',
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
ALTER SEQUENCE audit_entries_id_seq OWNED BY audit_entries.id;
CREATE TABLE audit_entries_rest PARTITION OF audit_entries DEFAULT;

CREATE INDEX audit_entries_id ON audit_entries (id);
CREATE INDEX audit_entries_organisation ON audit_entries (organisation_id, at, id);
CREATE INDEX audit_entries_kind ON audit_entries (kind, at, id);
-- Nearly all entries are the worker's, and most have no customer: only the others are worth a place.
CREATE INDEX audit_entries_people ON audit_entries (actor, at, id) WHERE actor <> 'worker';
CREATE INDEX audit_entries_customer ON audit_entries (customer, at, id) WHERE customer <> '';
CREATE INDEX audit_entries_failed ON audit_entries (at, id) WHERE failed;
CREATE INDEX audit_entries_documents ON audit_entries USING gin (documents);
CREATE INDEX audit_entries_words ON audit_entries USING gin (found_by gin_trgm_ops);

-- Entries are never changed and never deleted one by one; only the chain's link is filled in, once.
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.digest = '' THEN
        OLD.digest := NEW.digest;
        IF OLD IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_entries is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();

-- A partition for the month of a moment. Entries that landed in the rest meanwhile move into it.
CREATE FUNCTION audit_make_partition(moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := date_trunc('month', moment, 'UTC');
    past timestamptz := date_trunc('month', first + interval '32 days', 'UTC');
    name text := 'audit_entries_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE audit_entries IN ACCESS EXCLUSIVE MODE;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    ALTER TABLE audit_entries DETACH PARTITION audit_entries_rest;
    EXECUTE format('CREATE TABLE %I PARTITION OF audit_entries FOR VALUES FROM (%L) TO (%L)',
                   name, first, past);
    EXECUTE format('INSERT INTO %I SELECT * FROM audit_entries_rest WHERE at >= %L AND at < %L',
                   name, first, past);
    CREATE TEMPORARY TABLE audit_others ON COMMIT DROP AS
        SELECT * FROM audit_entries_rest WHERE at < first OR at >= past;
    TRUNCATE audit_entries_rest;
    INSERT INTO audit_entries_rest SELECT * FROM audit_others;
    DROP TABLE audit_others;
    ALTER TABLE audit_entries ATTACH PARTITION audit_entries_rest DEFAULT;
    RETURN true;
END $$;

-- Drops each month that ended before a moment; their names.
CREATE FUNCTION audit_drop_partitions(before timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    partition record;
BEGIN
    FOR partition IN
        SELECT child.relname AS name FROM pg_inherits
        JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = 'audit_entries'::regclass AND child.relname ~ '^audit_entries_[0-9]{4}_[0-9]{2}$'
    LOOP
        IF to_timestamp(right(partition.name, 7) || '+00', 'YYYY_MM+TZH') + interval '1 month' <= before
        THEN
            EXECUTE format('DROP TABLE %I', partition.name);
            RETURN NEXT partition.name;
        END IF;
    END LOOP;
END $$;

SELECT audit_make_partition(clock_timestamp() + ahead * interval '1 month') FROM generate_series(0, 2) ahead;
"""

DROP = """
DROP TABLE audit_entries CASCADE;
DROP FUNCTION audit_refuse, audit_make_partition, audit_drop_partitions;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        TrigramExtension(),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="Entry",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("at", models.DateTimeField()),
                        ("actor", models.TextField()),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("request", "request"),
                                    ("decision", "decision"),
                                    ("change", "change"),
                                    ("sign_in", "sign-in"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("system", models.TextField()),
                        ("organisation_id", models.BigIntegerField(null=True)),
                        ("organisation", models.TextField()),
                        ("operation", models.TextField()),
                        ("method", models.TextField()),
                        ("address", models.TextField()),
                        ("status", models.IntegerField(null=True)),
                        ("duration_ms", models.IntegerField(null=True)),
                        ("bytes_out", models.BigIntegerField(null=True)),
                        ("bytes_in", models.BigIntegerField(null=True)),
                        ("document_kind", models.TextField()),
                        (
                            "documents",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.TextField(), size=None
                            ),
                        ),
                        ("customer", models.TextField()),
                        ("sentence", models.TextField()),
                        ("failed", models.BooleanField()),
                        ("request", models.TextField()),
                        ("response", models.TextField()),
                        ("found_by", models.TextField()),
                        ("digest", models.TextField()),
                    ],
                    options={"db_table": "audit_entries"},
                )
            ],
        ),
    ]
