"""OSDP readers on one line, played by libosdp (peripheral device role).

Usage: osdp-readers.py CONTROL-PORT DEVICE READER...
READER is ADDRESS:KEY (32 hex digits), ADDRESS:new (takes its key with the default key) or ADDRESS:clear.
Prints "readers ready", then a line for each command a reader carries out, and "output ADDRESS N LEVEL NS" (CLOCK_BOOTTIME) for
each change of an output; a reader has two, and ends a time that it was told by itself. On the control port, a line each:
  card ADDRESS BITS HEX    keys ADDRESS DIGITS     local ADDRESS TAMPER POWER    inputs ADDRESS 0101
  sc ADDRESS               mute ADDRESS            speak ADDRESS
  hand ADDRESS N LEVEL     somebody else switches an output of the reader
  outputs ADDRESS          levels of its outputs: 01
  file ADDRESS PATH        bytes of the last file that it got, and whether they are those of a file: COUNT same|other
  gap                      longest time between two replies of one reader since this was asked last, ms
  damage N                 the next N replies of anybody have a wrong bit under a right check
  replay N                 the next N replies of anybody are replaced by the last reply that was recorded as a card
"""

import json
import os
import select
import socket
import sys
import time
import tty

from osdp import (
    Capability, CardFormat, Channel, Command, Event, LibFlag, LogLevel, PDCapabilities, PDInfo, PeripheralDevice,
    StatusReportType,
)


def crc(data):
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


class Line:
    """The far end of the wire, and what somebody between the readers and the panel does."""

    def __init__(self, device):
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.damage = 0
        self.replay = 0
        self.longest = b""
        self.gap = 0.0
        self.readers = []

    def receive(self):
        while True:
            try:
                data = os.read(self.fd, 512)
            except OSError:
                return
            if not data:
                return
            for reader in self.readers:
                reader.inbox += data

    def send(self, reader, data):
        if reader.mute:
            return
        now = time.monotonic()
        if reader.replied:
            self.gap = max(self.gap, now - reader.replied)
        reader.replied = now
        if reader.showed and len(data) > 15:
            # the reply that carries a card is the first long one after it was shown
            self.longest, reader.showed = bytes(data), False
        if self.replay and self.longest:
            self.replay -= 1
            start = self.longest.index(0x53)
            packet = bytearray(self.longest[start:-2])
            genuine = bytes(data)[bytes(data).index(0x53):]
            packet[1], packet[4] = genuine[1], packet[4] & 0xFC | genuine[4] & 3
            data = bytes(packet) + crc(packet).to_bytes(2, "little")
        elif self.damage:
            self.damage -= 1
            start = bytes(data).index(0x53)
            packet = bytearray(data[start:-2])
            packet[-1] ^= 0x10
            data = bytes(packet) + crc(packet).to_bytes(2, "little")
        os.write(self.fd, bytes(data))


OUTPUTS = 2
NEVER = float("inf")


class Wire(Channel):
    def __init__(self, line):
        super().__init__()
        self.line = line
        self.inbox = b""
        self.mute = False
        self.showed = False
        self.replied = None
        self.file = bytearray()
        self.have = 0
        self.address = 0
        # when each output goes to rest by itself; None while it rests, and never if it is on for good
        self.outputs = [None] * OUTPUTS
        self.changed = False
        line.readers.append(self)

    def read(self, max_bytes):
        data, self.inbox = self.inbox[:max_bytes], self.inbox[max_bytes:]
        return b"" if self.mute else data

    def write(self, buf):
        self.line.send(self, buf)
        return len(buf)

    def flush(self):
        self.inbox = b""

    def switch(self, number, until):
        if (self.outputs[number] is None) != (until is None):
            self.changed = True
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            print(f"output {self.address} {number} {int(until is not None)} {now}", flush=True)
        self.outputs[number] = until

    def drive(self, number, code, tenths):
        """Control codes of the OUT command: permanent off and on, on for a time."""
        if code == 1:
            self.switch(number, None)
        elif code == 2:
            self.switch(number, NEVER)
        elif code == 5:
            self.switch(number, time.monotonic() + tenths / 10)
        else:
            raise ValueError(f"control code {code}")

    def expire(self):
        for number, until in enumerate(self.outputs):
            if until is not None and time.monotonic() >= until:
                self.switch(number, None)

    def levels(self):
        return bytes(int(until is not None) for until in self.outputs)


def files(wire):
    def opened(_file_id, size):
        wire.file = bytearray(size)
        wire.have = 0
        return 0

    def written(data, offset):
        wire.file[offset:offset + len(data)] = data
        wire.have = offset + len(data)
        return len(data)

    return {
        "open": opened, "read": lambda _size, _offset: b"", "write": written, "close": lambda _file_id: 0,
    }


def plain(value):
    return value.hex() if isinstance(value, (bytes, bytearray)) else value


def make(line, word):
    address, kind = word.split(":")
    wire = Wire(line)
    wire.address = int(address)
    key, flags = None, []
    if kind == "new":
        flags = [LibFlag.InstallMode]
    elif kind != "clear":
        key, flags = bytes.fromhex(kind), [LibFlag.EnforceSecure]

    def carried_out(command):
        if command["command"] == Command.Status:
            # this version of libosdp cannot answer for its outputs (NAK); it tells changes of them by itself
            return (-1, None) if command["type"] == StatusReportType.Output else (0, None)
        if command["command"] == Command.Output:
            wire.drive(command["output_no"], command["control_code"], command["timer_count"])
        said = {name: plain(value) for name, value in command.items()}
        print(f"command {address} {json.dumps(said, sort_keys=True)}", flush=True)
        return 0, None

    capabilities = PDCapabilities([
        (Capability.ContactStatusMonitoring, 1, 4),
        (Capability.OutputControl, 1, OUTPUTS),
        (Capability.LEDControl, 1, 1),
        (Capability.AudibleControl, 1, 1),
        (Capability.TextOutput, 1, 1),
    ])
    info = PDInfo(int(address), wire, scbk=key, flags=flags)
    reader = PeripheralDevice(info, capabilities, log_level=LogLevel.Warning, command_handler=carried_out)
    reader.ctx.register_file_ops(0, files(wire))
    return int(address), (reader, wire)


def status(kind, report):
    return {"event": Event.Status, "type": kind, "report": bytes(report)}


def act(line, readers, words):
    verb = words[0]
    if verb in ("damage", "replay"):
        setattr(line, verb, int(words[1]))
        return "ok"
    if verb == "gap":
        answer, line.gap = line.gap, 0.0
        for wire in line.readers:
            wire.replied = None
        return str(round(answer * 1000))
    reader, wire = readers[int(words[1])]
    if verb == "card":
        event = {
            "event": Event.CardRead, "reader_no": 0, "direction": 0, "length": int(words[2]),
            "format": CardFormat.Wiegand, "data": bytes.fromhex(words[3]),
        }
        wire.showed = True
    elif verb == "keys":
        codes = {"*": 0x7F, "#": 0x0D}
        digits = bytes(codes.get(key, ord(key)) for key in words[2])
        event = {"event": Event.KeyPress, "reader_no": 0, "data": digits}
    elif verb == "local":
        event = status(StatusReportType.Local, [int(words[2]), int(words[3])])
    elif verb == "inputs":
        event = status(StatusReportType.Input, [int(level) for level in words[2]])
    elif verb == "file":
        got = wire.file[:wire.have]
        with open(words[2], "rb") as sent:
            return f"{len(got)} {'same' if got == sent.read() else 'other'}"
    elif verb == "hand":
        wire.switch(int(words[2]), NEVER if words[3] == "1" else None)
        return "ok"
    elif verb == "outputs":
        return "".join(str(level) for level in wire.levels())
    elif verb == "sc":
        return "1" if reader.is_sc_active() else "0"
    elif verb == "mute":
        wire.mute = True
        return "ok"
    elif verb == "speak":
        wire.mute, wire.inbox = False, b""
        return "ok"
    else:
        return f"what is {verb}?"
    return str(reader.ctx.submit_event(event))


def main():
    control, device, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    line = Line(device)
    readers = dict(make(line, word) for word in words)
    listener = socket.create_server(("127.0.0.1", control))
    print("readers ready", flush=True)
    while True:
        ready, _, _ = select.select([line.fd, listener], [], [], 0.002)
        if listener in ready:
            client, _ = listener.accept()
            with client, client.makefile("rw") as stream:
                try:
                    answer = act(line, readers, stream.readline().split())
                except Exception as error:  # the test shall read what it was
                    answer = f"{type(error).__name__}: {error}"
                stream.write(f"{answer}\n")
                stream.flush()
        line.receive()
        for reader, wire in readers.values():
            if wire.mute:
                wire.inbox = b""
            wire.expire()
            if wire.changed and reader.is_sc_active():
                wire.changed = not reader.ctx.submit_event(status(StatusReportType.Output, wire.levels()))
            reader.ctx.refresh()


if __name__ == "__main__":
    main()
