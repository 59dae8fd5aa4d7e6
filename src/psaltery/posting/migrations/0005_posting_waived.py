from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("posting", "0004_books_number")]

    operations = [
        migrations.AddField(
            model_name="posting",
            name="waived",
            field=models.JSONField(default=list),
        ),
    ]
