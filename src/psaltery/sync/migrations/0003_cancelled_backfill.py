from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0002_backfill"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="backfill",
            name="one_open_backfill_an_organisation",
        ),
        migrations.AddField(
            model_name="backfill",
            name="kept",
            field=models.JSONField(default=dict),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="state",
            field=models.CharField(
                choices=[
                    ("running", "running"),
                    ("paused", "paused"),
                    ("done", "done"),
                    ("cancelled", "cancelled"),
                ],
                default="running",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="backfill",
            constraint=models.UniqueConstraint(
                condition=models.Q(state__in=["running", "paused"]),
                fields=("organisation",),
                name="one_open_backfill_an_organisation",
            ),
        ),
    ]
