"""The PSA's side of the demo: Harbourline IT's site, written into an empty sandbox."""

from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Store
from psaltery.demo import psa_desk, psa_invoices, psa_people, site
from psaltery.demo.cast import Part, customers
from psaltery.demo.psa_invoices import Client
from psaltery.demo.story import DAYS, Story, StoryClock

# Most customers are on an agreement; those that play a part elsewhere are not.
AGREEMENT_SHARE = 0.86
_WITHOUT = (Part.ARCHIVED, Part.TWINS, Part.SAME_EMAIL, Part.BRITISH, Part.CALIFORNIAN,
            Part.BRISBANE)  # fmt: skip


class Psa:
    """The site, its clock, and its customers by name."""

    def __init__(self, store: Store, story: Story) -> None:
        self.story = story
        self.clock = StoryClock(story.moment(story.day(DAYS + 30)))
        self.world = World(store, clock=self.clock)
        self.clients: dict[str, Client] = {}

    def fill(self) -> None:
        """Everything but the deliberate faults."""
        site.fill(self.world)
        chance = self.story.chance("customers")
        for number, customer in enumerate(customers()):
            row = psa_people.company(self.world, customer, number, chance)
            agreement = None
            if customer.part not in _WITHOUT and chance.random() < AGREEMENT_SHARE:
                since = self.story.day(chance.randint(DAYS + 30, 900))
                agreement = psa_people.agreement(self.world, row, since, chance)
            self.clients[customer.name] = Client(customer, row, agreement)
        rows = [client.row for client in self.clients.values()]
        psa_desk.tickets(self.world, self.clock, self.story, rows)
        psa_desk.purchases(self.world, self.clock, self.story)
        clients = list(self.clients.values())
        psa_invoices.history(self.world, self.clock, self.story, clients)
        # The present again: live records carry times of today.
        self.clock.moment = self.story.now

    def with_part(self, part: Part) -> list[Client]:
        """The customers that play a part."""
        return [client for client in self.clients.values() if client.customer.part is part]
