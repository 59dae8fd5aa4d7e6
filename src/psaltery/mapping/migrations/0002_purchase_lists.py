from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mapping", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="mapping",
            name="list",
            field=models.CharField(
                choices=[
                    ("account", "Accounts"),
                    ("tax", "Tax rates"),
                    ("tracking", "Tracking"),
                    ("purchase_account", "Purchase accounts"),
                    ("purchase_tax", "Purchase tax rates"),
                ],
                max_length=16,
            ),
        ),
    ]
