from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0002_read_only_of_a_consent"),
    ]

    operations = [
        migrations.AddField(
            model_name="feed",
            name="moved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
