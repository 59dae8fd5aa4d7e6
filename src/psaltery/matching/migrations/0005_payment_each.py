from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("matching", "0004_payments_taken")]

    operations = [
        migrations.AddField(
            model_name="paymentback",
            name="payments",
            field=models.JSONField(default=list),
        ),
    ]
