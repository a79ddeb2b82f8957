"""Scores of what `gateway/media/examples/lossy.rs` makes of speech; `tests/voice/quality` runs it."""

import statistics
import subprocess
import sys

import numpy
from pesq import pesq

RATE = 16000
SOUNDS = "/usr/share/asterisk/sounds/en_US_f_Allison/"
PROMPTS = ["demo-instruct.g722", "demo-congrats.g722", "demo-echotest.g722", "demo-abouttotry.g722"]


def speech(name):
    """The first 9 s of a prompt at the level of P.830 §7.2.2, -26 dB below overload, with half a second before and after."""
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "g722", "-i", SOUNDS + name, "-t", "9", "-ar", str(RATE), "-ac", "1",
         "-f", "s16le", "-"], check=True, capture_output=True).stdout
    samples = numpy.frombuffer(raw, dtype="<i2").astype(float)
    loud = samples[numpy.abs(samples) > 300]
    samples *= 32768 * 10 ** (-26 / 20) / numpy.sqrt(numpy.mean(loud**2))
    quiet = numpy.zeros(RATE // 2)
    return numpy.concatenate([quiet, samples, quiet]).clip(-32768, 32767).astype("<i2")


def heard(program, codec, loss, burst, seed, said):
    """What comes out."""
    run = subprocess.run([program, codec, str(loss), str(burst), str(seed)], input=said.tobytes(), check=True,
                         capture_output=True)
    return numpy.frombuffer(run.stdout, dtype="<i2")


def main():
    program, seeds = sys.argv[1], int(sys.argv[2])
    prompts = [speech(name) for name in PROMPTS]
    cases = [(0, 1)] + [(loss, burst) for burst in (1, 3) for loss in (1, 5, 10)]
    print("| codec | no loss |" + "".join(f" {l} % {'random' if b == 1 else 'bursts of 3'} |" for l, b in cases[1:]))
    print("|---|" + "---|" * len(cases))
    for codec in ("opus", "g722", "pcma"):
        row = []
        for loss, burst in cases:
            scores = [
                pesq(RATE, said, heard(program, codec, loss, burst, seed + 1, said), "wb")
                for said in prompts
                for seed in range(seeds if loss else 1)
            ]
            row.append(f"{statistics.mean(scores):.2f}")
        print(f"| {codec} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
