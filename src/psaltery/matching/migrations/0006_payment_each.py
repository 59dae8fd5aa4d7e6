from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("matching", "0005_credits_taken")]

    operations = [
        migrations.AddField(
            model_name="paymentback",
            name="payments",
            field=models.JSONField(default=list),
        ),
    ]
