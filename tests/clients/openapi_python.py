#!/usr/bin/env python
"""openapi-python-client: the life of a ticket through a client generated from the served document."""

import os
import subprocess
import sys

URL = os.environ["ORQIT_URL"]
DOCUMENT = URL + "/api/public/v1/openapi.json"

generated = subprocess.run(
    ["openapi-python-client", "generate", "--url", DOCUMENT, "--meta", "none", "--output-path", "orqit_api"],
    check=True,
    capture_output=True,
    text=True,
)
print(generated.stdout, file=sys.stderr)
sys.path.insert(0, os.getcwd())
from orqit_api import AuthenticatedClient  # noqa: E402
from orqit_api.api.asset import create_asset, get_asset, update_asset  # noqa: E402
from orqit_api.api.ticket import create_ticket, get_ticket, list_tickets, update_ticket  # noqa: E402
from orqit_api import models  # noqa: E402

client = AuthenticatedClient(base_url=URL, token=os.environ["ORQIT_API_KEY"])


def check(name, works):
    try:
        works()
    except Exception as error:  # whatever it is, it is what this program tells
        print(f"FAILED {name}: {error!r}")
    else:
        print(f"ok {name}")


def generates_everything():
    # Of what it cannot generate it warns, and leaves it out. That a formatter is missing is no matter.
    warnings = [line for line in generated.stdout.splitlines() if "WARNING" in line or "ERROR" in line]
    assert not warnings, warnings


def tells_the_life_of_a_ticket():
    body = models.CreateTicketRequest(title="VPN", description="It drops.", type_=models.TicketType.INCIDENT)
    body.category = models.TicketCategory.NETWORK
    made = create_ticket.sync(client=client, body=body).data
    assert made.status == models.TicketStatus.OPEN, made
    body = models.UpdateTicketRequest(status=models.TicketStatus.RESOLVED)
    update_ticket.sync(str(made.id), client=client, body=body)
    got = get_ticket.sync(str(made.id), client=client).data
    assert got.resolved_at is not None and got.version == 2, got
    page = list_tickets.sync(client=client, status=[models.TicketStatus.RESOLVED], per_page=1)
    assert page.data[0].id == made.id and page.meta.total_count >= 1, page


def is_told_why_an_asset_cannot_be_assigned():
    body = models.CreateAssetRequest(name="Laptop", type_=models.AssetType.LAPTOP)
    made = create_asset.sync(client=client, body=body).data
    body = models.UpdateAssetRequest(status=models.AssetStatus.RETIRED)
    update_asset.sync(made.asset_tag, client=client, body=body)
    body = models.UpdateAssetRequest(assigned_user_id=1)
    refused = update_asset.sync(made.asset_tag, client=client, body=body)
    assert refused.error.code == "ASSET_NOT_ASSIGNABLE" and refused.error.status == "RETIRED", refused
    assert get_asset.sync(str(made.id), client=client).data.open_ticket_count == 0


check("generates everything", generates_everything)
check("tells the life of a ticket", tells_the_life_of_a_ticket)
check("is told why an asset cannot be assigned", is_told_why_an_asset_cannot_be_assigned)
