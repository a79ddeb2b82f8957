"""Opens a door with a client that openapi-python-client has made of the gateway's own document.

Usage: generated-client.py FOLDER URL TOKEN DOOR, where the package `client` lies in FOLDER. Says what it was told, one
line each.
"""

import datetime
import sys
import uuid

sys.path.insert(0, sys.argv[1])
url, token, door = sys.argv[2:5]

from client import AuthenticatedClient
from client.api.doors import door as one_door
from client.api.doors import doors as all_doors
from client.api.doors import open_
from client.api.journal import journal
from client.models.command import Command
from client.models.done import Done
from client.models.problem import Problem

with AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True) as api:
    known = all_doors.sync(client=api)
    print("doors", " ".join(d.id for d in known.doors))
    print("lock", one_door.sync(door, client=api).lock)

    command = Command(id=str(uuid.uuid4()), at=datetime.datetime.now(datetime.timezone.utc))
    first = open_.sync(door, client=api, body=command)
    assert isinstance(first, Done), first
    print("opened", first.status, first.seq)

    again = open_.sync(door, client=api, body=command)
    assert isinstance(again, Problem), again
    print("again", again.status, again.reason)

    nowhere = open_.sync("no-such-door", client=api)
    assert isinstance(nowhere, Problem), nowhere
    print("nowhere", nowhere.status, nowhere.reason)

    page = journal.sync(client=api, kind="door.granted", max_=1)
    print("granted", page.records[0].kind, page.records[0].source)
