"""A USB relay board with four relays, played to the kernel over /dev/uhid; the kernel makes a hidraw device of it.

Usage: hid-board.py ID      (five letters)
Does what such boards do with reports, feature and output ones alike: FF n and FD n switch relay n on and off, FE and FC all of
them; asked, it gives its id and the relays as bits. Prints "board ready", then "edge RELAY LEVEL" for each change.
Standard input, a line each: "hand RELAY LEVEL" switches as somebody else would, "unplug", "plug" (all relays at rest),
"hang" and "go on".
"""

import os
import select
import struct
import sys

DESTROY, OUTPUT, GET_REPORT, GET_REPORT_REPLY, CREATE2, SET_REPORT, SET_REPORT_REPLY = 1, 6, 9, 10, 11, 13, 14
USB = 3
# eight bytes of a feature report without a number, as the boards describe themselves
DESCRIPTOR = bytes.fromhex("0600ff 0901 a101 1500 26ff00 7508 9508 0900 b20201 c0")
RELAYS = 4


class Board:
    def __init__(self, name):
        self.name = name.encode()
        self.uhid = os.open("/dev/uhid", os.O_RDWR)
        self.levels = 0
        self.plugged = False
        self.hangs = False
        self.waiting = []

    def tell(self, kind, data):
        os.write(self.uhid, struct.pack("<I", kind) + data)

    def plug(self):
        # of a real one the kernel has the maker's name before it, which hidapi would take for part of the product's
        head = struct.pack("<128s64s64sHHIIII", b"USBRelay4", b"", b"", len(DESCRIPTOR), USB, 0x16C0, 0x05DF, 0x100, 0)
        self.tell(CREATE2, head + DESCRIPTOR)
        self.plugged = True

    def unplug(self):
        self.set(0)
        self.tell(DESTROY, b"")
        self.plugged = False
        self.waiting.clear()

    def set(self, levels):
        for relay in range(1, RELAYS + 1):
            bit = 1 << relay - 1
            if (self.levels ^ levels) & bit:
                print("edge", relay, int(bool(levels & bit)), flush=True)
        self.levels = levels

    def order(self, what, relay):
        every = (1 << RELAYS) - 1
        bit = 1 << relay - 1 if 1 <= relay <= RELAYS else 0
        if what == 0xFF:
            self.set(self.levels | bit)
        elif what == 0xFD:
            self.set(self.levels & ~bit)
        elif what == 0xFE:
            self.set(every)
        elif what == 0xFC:
            self.set(0)

    def hear(self, event):
        kind, number = struct.unpack_from("<II", event)
        if kind == GET_REPORT:
            # as the kernel's USB driver has it, number 0 comes first; the board itself does not look at the number
            answer = (b"" if event[8] else b"\0") + self.name + bytes([0, 0, self.levels])
            self.tell(GET_REPORT_REPLY, struct.pack("<IHH", number, 0, len(answer)) + answer)
        elif kind == SET_REPORT:
            # report number and kind, two bytes of size, and the report with its number
            data = event[12:]
            self.order(data[1], data[2])
            self.tell(SET_REPORT_REPLY, struct.pack("<IH", number, 0))
        elif kind == OUTPUT:
            # the report with its number, and behind the room for it its size
            self.order(event[5], event[6])

    def act(self, words):
        if words[0] == "hand":
            bit = 1 << int(words[1]) - 1
            self.set(self.levels | bit if words[2] == "1" else self.levels & ~bit)
        elif words[0] == "unplug":
            self.unplug()
        elif words[0] == "plug":
            self.plug()
        elif words[0] == "hang":
            self.hangs = True
        elif words == ["go", "on"]:
            self.hangs = False
            for event in self.waiting:
                self.hear(event)
            self.waiting.clear()


def main():
    board = Board(sys.argv[1])
    board.plug()
    print("board ready", flush=True)
    typed = ""
    while True:
        ready, _, _ = select.select([board.uhid, 0], [], [])
        if 0 in ready:
            text = os.read(0, 4096).decode()
            if not text:
                return
            *lines, typed = (typed + text).split("\n")
            for line in lines:
                board.act(line.split())
        if board.uhid in ready:
            event = os.read(board.uhid, 8192)
            if board.hangs:
                board.waiting.append(event)
            else:
                board.hear(event)


main()
