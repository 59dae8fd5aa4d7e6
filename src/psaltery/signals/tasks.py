"""The periodic jobs of customers and alerts. They stand above the engine, whose jobs are named in
`sync/tasks.py`."""

from procrastinate.contrib.django import app

from psaltery.portfolio import service as portfolio
from psaltery.rmm import service as rmm
from psaltery.signals import service


# Six fields: the seconds are the last one.
# Behind everything else: a look reads mirrors that the other jobs are just bringing up to date.
@app.periodic(cron="*/5 * * * * 40", periodic_id="look_for_alerts")
@app.task(name="look_for_alerts", queue="upkeep", queueing_lock="look_for_alerts", priority=-20)
def look_for_alerts(timestamp: int) -> None:
    """Bring customers and their money up to date, and look for every signal."""
    rmm.find_companies()
    service.look()


@app.periodic(cron="50 3 * * * 0", periodic_id="know_customers")
@app.task(name="know_customers", queue="upkeep", queueing_lock="know_customers", priority=-20)
def know_customers(timestamp: int) -> None:
    """Every night: look again since when each customer is known."""
    portfolio.refresh(thorough=True)
