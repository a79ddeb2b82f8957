"""Relay boards and modules on one line or connection, played by pymodbus: its framing, its functions, its data store.

Usage: modbus-board.py KIND UNITS CONTROL-PORT tcp PORT | rtu-tcp PORT | serial DEVICE
  KIND   coils: pymodbus as it is
         waveshare: as well function 5 at 0x0200 + relay, on for so many times 100 ms
         n4d: function 6, 0x0100 on and 0x0200 off, registers from 1
         domofon: coils of a WB-Domofon: 4, counted as relay 1, opens, and the module itself takes it back after 1.5 s
  UNITS  1,2,...
Prints "edge UNIT RELAY LEVEL NS" (CLOCK_BOOTTIME) for each change, relays counted from 1. Commands on the control
port, a line each: "get UNIT RELAY", "set UNIT RELAY LEVEL", "mute UNIT", "speak UNIT", and by address, from 0,
"coil UNIT ADDRESS LEVEL", "input UNIT ADDRESS LEVEL" (a discrete input). Addresses from 34 on are none of a unit.
"""

import asyncio
import struct
import sys
import time

from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.framer import FramerType
from pymodbus.pdu.bit_message import WriteSingleCoilRequest, WriteSingleCoilResponse
from pymodbus.pdu.register_message import WriteSingleRegisterRequest, WriteSingleRegisterResponse
from pymodbus.server import ModbusSerialServer, ModbusTcpServer

RELAYS = 32


class Block(ModbusSequentialDataBlock):
    """Coils or registers whose changes are told."""

    def __init__(self, unit, first):
        super().__init__(0, [0] * (RELAYS + 2))
        self.unit, self.first = unit, first

    def setValues(self, address, values):
        values = values if isinstance(values, list) else [values]
        for n, value in enumerate(values):
            # the store counts addresses from 1
            relay = address - 1 + n - self.first + 1
            before = bool(self.getValues(address + n, 1)[0])
            if before != bool(value):
                now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                print("edge", self.unit, relay, int(bool(value)), now, flush=True)
        return super().setValues(address, values)


class WaveshareReply(WriteSingleCoilResponse):
    """The echo of a coil write with its very value."""

    value = 0

    def encode(self):
        return struct.pack(">HH", self.address, self.value)


class WaveshareWrite(WriteSingleCoilRequest):
    """A coil write; at 0x0200 + relay the value is a time."""

    value = 0

    def decode(self, data):
        self.address, self.value = struct.unpack(">HH", data[:4])
        self.bits = [self.value == 0xFF00]

    async def update_datastore(self, context):
        relay = self.address & 0xFF
        timers = context.timers
        if self.address & 0xFF00 == 0x0200:
            if relay in timers:
                timers.pop(relay).cancel()

            def over():
                context.setValues(5, relay, [False])

            timers[relay] = asyncio.get_running_loop().call_later(self.value / 10, over)
            context.setValues(5, relay, [True])
        else:
            context.setValues(5, relay, self.bits)
        reply = WaveshareReply(address=self.address, bits=self.bits)
        reply.value = self.value
        return reply


class DomofonWrite(WriteSingleCoilRequest):
    """A coil write; what it opens, the module ends."""

    async def update_datastore(self, context):
        reply = await super().update_datastore(context)
        if self.bits[0]:
            asyncio.get_running_loop().call_later(1.5, context.setValues, 5, self.address, [False])
        return reply


class N4dWrite(WriteSingleRegisterRequest):
    """A register write whose value is a command; the register reads as the relay's level."""

    async def update_datastore(self, context):
        command = self.registers[0]
        level = {0x0100: 1, 0x0200: 0}.get(command)
        if level is not None:
            context.setValues(6, self.address, [level])
        return WriteSingleRegisterResponse(address=self.address, registers=[command])


async def main():
    kind, units, control, way, place = sys.argv[1:]
    first = {"n4d": 1, "domofon": 4}.get(kind, 0)
    function = 3 if kind == "n4d" else 1
    devices = {}
    for unit in map(int, units.split(",")):
        inputs = ModbusSequentialDataBlock(0, [0] * (RELAYS + 2))
        device = ModbusDeviceContext(co=Block(unit, first), hr=Block(unit, first), di=inputs)
        device.timers = {}
        devices[unit] = device
    context = ModbusServerContext(devices=dict(devices), single=False)
    muted = set()
    more = {
        "custom_pdu": {"waveshare": [WaveshareWrite], "n4d": [N4dWrite], "domofon": [DomofonWrite], "coils": []}[kind],
        "ignore_missing_devices": True,
    }
    if way == "serial":
        server = ModbusSerialServer(context, framer=FramerType.RTU, port=place, baudrate=9600, **more)
    else:
        framer = {"tcp": FramerType.SOCKET, "rtu-tcp": FramerType.RTU}[way]
        server = ModbusTcpServer(context, framer=framer, address=("127.0.0.1", int(place)), **more)

    async def commands(reader, writer):
        while line := await reader.readline():
            word, unit, *rest = line.decode().split()
            unit = int(unit)
            answer = "ok"
            if word == "get":
                address = int(rest[0]) - 1 + first
                answer = str(int(bool(devices[unit].getValues(function, address, 1)[0])))
            elif word == "set":
                address = int(rest[0]) - 1 + first
                devices[unit].setValues(function, address, [int(rest[1])])
            elif word in ("coil", "input"):
                devices[unit].setValues(1 if word == "coil" else 2, int(rest[0]), [int(rest[1])])
            elif word == "mute":
                muted.add(unit)
                del context[unit]
            elif word == "speak":
                context[unit] = devices[unit]
            writer.write(f"{answer}\n".encode())
            await writer.drain()
        writer.close()

    await asyncio.start_server(commands, "127.0.0.1", int(control))
    serving = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0)
    print("board ready", flush=True)
    await serving


asyncio.run(main())
