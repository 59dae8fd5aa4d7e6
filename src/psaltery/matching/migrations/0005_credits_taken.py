from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("matching", "0004_payments_taken")]

    operations = [
        migrations.AddField(
            model_name="paymenttaken",
            name="credit_memo",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
    ]
