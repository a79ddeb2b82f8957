"""Scores of recordings that `tests/peers/tests/peers/beside/loss.rs` has made: wideband PESQ (ITU-T P.862.2), as
`score.py`. Reads a file of JSON lines, each with the files of what was spoken and what was heard; prints a table."""

import json
import statistics
import sys

import numpy
from pesq import pesq

RATE = 16000


def read(path):
    """Samples of a WAV at 16 kHz, of all channels the mean. A file that was not closed has no lengths in its head."""
    data = open(path, "rb").read()
    channels = int.from_bytes(data[22:24], "little")
    rate = int.from_bytes(data[24:28], "little")
    begin = data.index(b"data") + 8
    samples = numpy.frombuffer(data[begin:len(data) - (len(data) - begin) % (2 * channels)], dtype="<i2").astype(float)
    return to_16k(samples.reshape(-1, channels).mean(axis=1), rate)


def to_16k(samples, rate):
    """Band-limited by a windowed sinc of 129 taps at the lower of both rates."""
    if rate == RATE:
        return samples
    up, down = {8000: (2, 1), 48000: (1, 3)}[rate]
    n = numpy.arange(-64, 65)
    low_pass = numpy.sinc(n / max(up, down)) / max(up, down) * numpy.hamming(len(n))
    spread = numpy.zeros(len(samples) * up)
    spread[::up] = samples
    return numpy.convolve(spread, low_pass * up, "same")[::down]


def cut(spoken, heard):
    """The part of a recording that holds what was spoken, where both fit best."""
    size = 1 << (len(spoken) + len(heard)).bit_length()
    fits = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(spoken, size)), size)
    at = int(numpy.argmax(fits[:len(heard)]))
    part = heard[at:at + len(spoken)]
    return numpy.pad(part, (0, len(spoken) - len(part)))


def main():
    scores = {}
    for line in open(sys.argv[1], encoding="utf-8"):
        entry = json.loads(line)
        # 8 s of speech after 1.5 s of silence: half a second of it before and after is enough
        spoken = read(entry["spoken"])[RATE:10 * RATE]
        heard = cut(spoken, read(entry["heard"]))
        score = pesq(RATE, spoken.astype("<i2"), heard.clip(-32768, 32767).astype("<i2"), "wb")
        key = (entry["codec"], entry["who"])
        scores.setdefault(key, {}).setdefault((entry["burst"], entry["loss"]), []).append(score)
    cases = sorted({case for row in scores.values() for case in row}, key=lambda c: (c[1] > 0, c))
    name = lambda burst, loss: f"{loss} % {'random' if burst == 1 else f'bursts of {burst}'}" if loss else "no loss"
    print("| codec | heard by | " + " | ".join(name(*case) for case in cases) + " |")
    print("|---|---|" + "---|" * len(cases))
    for (codec, who), row in sorted(scores.items()):
        print(f"| {codec} | {who} | " + " | ".join(f"{statistics.mean(row[case]):.2f}" for case in cases) + " |")


if __name__ == "__main__":
    main()
