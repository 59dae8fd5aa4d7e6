from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="consentrequest",
            name="read_only",
            field=models.BooleanField(null=True),
        ),
    ]
