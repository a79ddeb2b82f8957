"""Comfort noise (RFC 3389) by FFmpeg's encoder and decoder. Its program takes one payload type of a stream of RTP; here its
codecs are asked themselves, packet by packet.

Usage: comfort-noise.py read | make LEVEL
  read   lines "PAYLOAD-TYPE HEX" of RTP payloads come in, in order: 0 is PCMU, 13 comfort noise. A line goes out for each:
         "speech LEVEL", or "noise TOLD HEARD MEANT": the level that the packet tells; that of what the decoder makes of it; that
         of what it makes of a packet by its own encoder, which has heard the 80 ms of PCMU before.
  make   prints the payload, in hex, for white noise of this level; with a spectrum, as that encoder always does.
Levels are dB below full scale, 127 if there is nothing.
"""

import math
import sys

import av
import numpy

RATE = 8_000
# samples that codecs of comfort noise take and give at once
FRAME = 640
# full scale is the loudest square wave (RFC 3389, 3.1)
FULL = 32_768.0


def level(samples):
    power = float(numpy.mean(numpy.square(samples.astype(numpy.float64)))) if len(samples) else 0.0
    return min(127.0, -10.0 * math.log10(max(power / FULL**2, 1e-13)))


def codec(name, mode):
    context = av.CodecContext.create(name, mode)
    context.sample_rate = RATE
    context.layout = "mono"
    context.format = "s16"
    return context


def decode(context, payload):
    frames = context.decode(av.Packet(payload))
    return numpy.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def encoded(samples):
    frame = av.AudioFrame.from_ndarray(samples.astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE
    return bytes(codec("comfortnoise", "w").encode(frame)[0])


def noise(payload):
    # what a decoder has said before counts for what it says
    return level(decode(codec("comfortnoise", "r"), payload))


def read():
    speech = codec("pcm_mulaw", "r")
    before = numpy.zeros(FRAME, numpy.int16)
    for line in sys.stdin:
        kind, payload = line.split()
        payload = bytes.fromhex(payload)
        if kind == "0":
            samples = decode(speech, payload)
            before = numpy.concatenate([before, samples])[-FRAME:]
            print(f"speech {level(samples):.1f}")
        else:
            print(f"noise {payload[0] & 0x7F} {noise(payload):.1f} {noise(encoded(before)):.1f}")


if sys.argv[1:] == ["read"]:
    read()
elif len(sys.argv) == 3 and sys.argv[1] == "make":
    amplitude = FULL * 10 ** (-float(sys.argv[2]) / 20)
    white = numpy.random.default_rng(7).normal(0.0, amplitude, FRAME)
    print(encoded(white.clip(-32_768, 32_767)).hex())
else:
    sys.exit(__doc__)
