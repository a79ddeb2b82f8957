"""Has other people's clients of serial relay boards speak to a board, and says what they sent and what they read.

Usage: serial-clients.py    with the interpreter of the folder that relay-boards makes
One JSON value a line: {"client", "did", "sent" (hexadecimal), "read"}. What a board answers is written here as its maker
documents it; a client that reads something else of it does not know these boards, or the answer is wrong.
"""

import json
import logging
import os
import pty
import sys
import threading
import tty
import types

from kmtronic_usb_relay.four_channel_relay import RelayController
from numato_usb_relay.relay import Relay


def without_its_service(name, **what):
    """A module that a client wants to be part of, which has nothing to do with what it says to a board."""
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(what)


class Part:
    logger = logging.getLogger("client")


class Kind:
    pass


without_its_service("jumpstarter")
without_its_service("jumpstarter.driver", Driver=Part, export=lambda method: method)
without_its_service("jumpstarter_driver_power")
without_its_service("jumpstarter_driver_power.driver", PowerInterface=Kind, PowerReading=object)
from jumpstarter_driver_noyito_relay.driver import NoyitoPowerSerial  # noqa: E402


class Board:
    """The far end of a pseudo-terminal: keeps what comes, and answers what it is told to."""

    def __init__(self):
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.name = os.ttyname(theirs)
        # kept open: clients close the port between two orders
        self.theirs = theirs
        self.answers = {}
        self.came = b""
        self.more = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            piece = os.read(self.ours, 256)
            with self.more:
                self.came += piece
                answer = self.answers.get(self.came)
                self.more.notify_all()
            if answer is not None:
                os.write(self.ours, answer)

    def speaks(self, client, did, act, length, answers=None):
        """What `act` sends, which has so many bytes, and what it gives."""
        with self.more:
            self.came, self.answers = b"", answers or {}
        read = act()
        with self.more:
            self.more.wait_for(lambda: len(self.came) >= length, timeout=10)
            sent = self.came
        print(json.dumps({"client": client, "did": did, "sent": sent.hex(), "read": read}), flush=True)


def kmtronic(board):
    client = RelayController(board.name, switch_delay=0)
    for relay in range(1, 5):
        board.speaks("kmtronic", f"kmtronic8 {relay} on", lambda: client.turn_on(relay), 3)
        board.speaks("kmtronic", f"kmtronic8 {relay} off", lambda: client.turn_off(relay), 3)
    for levels in (b"\0\1\0\0", b"\1\1\0\1", b"\0\0\0\0"):
        answers = {bytes([0xFF, 0x09, 0x00]): levels}
        board.speaks("kmtronic", levels.hex(), client.get_statuses, 3, answers)
    client.close()


def numato(board):
    # it asks who is there as it begins
    board.answers = {b"ver\r": b"ver\n\r00000008\n\r>", b"ver\rid get\r": b"id get\n\r00000000\n\r>"}
    client = Relay(numberRelays=8, port=board.name, baudrate=19200, timeout=0.3, name="usb")
    for relay in (0, 7):
        for level in ("on", "off"):
            order = getattr(client, f"relay_{level}")
            board.speaks("numato", f"numato {relay} {level}", lambda: order(relay), len(f"relay {level} {relay}\r"))
            question = f"relay read {relay}\r".encode()
            answers = {question: question[:-1] + f"\n\r{level}\n\r>".encode()}
            board.speaks("numato", f"numato {relay} read", lambda: client.relay_read(relay), len(question), answers)


def lcus1(board):
    for relay in (1, 2):
        client = NoyitoPowerSerial(port=board.name, channel=relay)
        board.speaks("noyito", f"lcus1 {relay} on", client.on, 4)
        board.speaks("noyito", f"lcus1 {relay} off", client.off, 4)


kmtronic(Board())
lcus1(Board())
numato(Board())
