from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("posting", "0008_rounding")]

    operations = [
        migrations.RemoveConstraint(model_name="item", name="one_item_a_code"),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.UniqueConstraint(
                condition=~Q(how="chosen"),
                fields=("organisation", "code"),
                name="one_item_a_code",
            ),
        ),
    ]
