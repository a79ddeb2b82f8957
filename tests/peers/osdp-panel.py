"""A controller with one OSDP reader, played by libosdp (control panel role).

Usage: osdp-panel.py CONTROL-PORT DEVICE ADDRESS:KEY:HOW
KEY is 32 hex digits or "none"; HOW is "has" (speaks by this key only) or "gives" (gives it by the default key).
Prints "panel ready", then "card BITS HEX" and "keys HEX" as they come. On the control port, a line each:
  online, sc               1 or 0
  led COLOUR TENTHS        red, green or amber for a while; beep TIMES; text WORDS; settings ADDRESS BAUD
  damage N                 the next N replies of the reader have a wrong bit under a right check
  again                    all commands of the last session that carry more than a poll are sent once more, as they were
"""

import os
import select
import socket
import sys
import time
import tty

from osdp import Channel, Command, CommandLEDColor, ControlPanel, Event, LibFlag, LogLevel, PDInfo


def crc(data):
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


class Wire(Channel):
    def __init__(self, device):
        super().__init__()
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.damage = 0
        self.sent = []

    def read(self, max_bytes):
        try:
            data = os.read(self.fd, max_bytes)
        except OSError:
            return b""
        start = data.find(0x53)
        if self.damage and start >= 0 and len(data) - start >= 8:
            self.damage -= 1
            packet = bytearray(data[start:-2])
            packet[-1] ^= 0x10
            data = bytes(packet) + crc(packet).to_bytes(2, "little")
        return data

    def write(self, buf):
        if len(buf) > 20:
            self.sent = (self.sent + [bytes(buf)])[-32:]
        os.write(self.fd, bytes(buf))
        return len(buf)

    def flush(self):
        pass


def heard(_pd, event):
    if event["event"] == Event.CardRead:
        print(f"card {event['length']} {bytes(event['data']).hex()}", flush=True)
    elif event["event"] == Event.KeyPress:
        print(f"keys {bytes(event['data']).hex()}", flush=True)
    return 0


def act(panel, wire, words):
    verb = words[0]
    if verb == "online":
        return str(panel.ctx.status() & 1)
    if verb == "sc":
        return str(panel.ctx.sc_status() & 1)
    if verb == "damage":
        wire.damage = int(words[1])
        return "ok"
    if verb == "again":
        for packet in list(wire.sent):
            os.write(wire.fd, packet)
        return str(len(wire.sent))
    if verb == "led":
        colours = {"red": CommandLEDColor.Red, "green": CommandLEDColor.Green, "amber": CommandLEDColor.Amber}
        command = {
            "command": Command.LED, "reader": 0, "led_number": 0, "control_code": 2, "on_count": 10, "off_count": 0,
            "on_color": colours[words[1]], "off_color": CommandLEDColor.Black, "timer_count": int(words[2]),
            "temporary": True,
        }
    elif verb == "beep":
        command = {
            "command": Command.Buzzer, "reader": 0, "control_code": 2, "on_count": 1, "off_count": 1,
            "rep_count": int(words[1]),
        }
    elif verb == "text":
        command = {
            "command": Command.Text, "reader": 0, "control_code": 1, "temp_time": 20, "offset_row": 1,
            "offset_col": 1, "data": " ".join(words[1:]),
        }
    elif verb == "settings":
        command = {"command": Command.Comset, "address": int(words[1]), "baud_rate": int(words[2])}
    else:
        return f"what is {verb}?"
    return str(panel.ctx.submit_command(0, command))


def main():
    control, device = int(sys.argv[1]), sys.argv[2]
    address, key, how = sys.argv[3].split(":")
    wire = Wire(device)
    key = None if key == "none" else bytes.fromhex(key)
    flags = []
    if key and how == "has":
        flags = [LibFlag.EnforceSecure]
    elif how == "gives":
        flags = [LibFlag.InstallMode]
    info = PDInfo(int(address), wire, scbk=key, flags=flags)
    panel = ControlPanel([info], log_level=LogLevel.Info, event_handler=heard)
    listener = socket.create_server(("127.0.0.1", control))
    print("panel ready", flush=True)
    while True:
        ready, _, _ = select.select([wire.fd, listener], [], [], 0.002)
        if listener in ready:
            client, _ = listener.accept()
            with client, client.makefile("rw") as stream:
                try:
                    answer = act(panel, wire, stream.readline().split())
                except Exception as error:  # the test shall read what it was
                    answer = f"{type(error).__name__}: {error}"
                stream.write(f"{answer}\n")
                stream.flush()
        panel.ctx.refresh()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
