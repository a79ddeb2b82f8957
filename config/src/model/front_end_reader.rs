//! `[readers.*.front-end-keys]` and `[readers.*.front-end-clock-data]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::describe::table;
use crate::rules::{Flag, Path, int, list, ms, word};
use crate::value::ContactKey;

table! {
    /// Contact keys at a front end, which sees the wire of the contact to the microsecond: Cyfral and Metakom, which send as long
    /// as they touch, and DS1990A, which are asked. A key is the card `cyfral:NUMBER`, `metakom:NUMBER` or `ibutton:SERIAL`.
    pub struct FrontEndKeys {
        /// Its line port; the name under `/dev/serial/by-id` stays the same when front ends are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Bits per second, 9600 to 3000000; one with USB of its own takes any.
        baud: u32 = "baud", int(9600, 3_000_000), or("921600"), Restart;
        /// Kinds of keys that count.
        keys: Vec<ContactKey> = "keys", list(word(), 1, 3), required, Restart;
        /// Input of the contact's wire, 0 to 15; high at rest.
        input: u8 = "input", int(0, 15), required, Restart;
        /// Output that pulls the wire low, 0 to 15: DS1990A keys are asked by it. Left out without such keys.
        pull_output: Option<u8> = "pull-output", int(0, 15), optional, Restart;
        /// The same key counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
        /// Output of the LED: on while a door opens, blinking while digits are awaited.
        led_output: Option<u8> = "led-output", int(0, 15), optional, Restart;
        /// Output of a second LED: on for 1 s after a refusal.
        second_led_output: Option<u8> = "second-led-output", int(0, 15), optional, Restart;
        /// Output of the beeper: once for a grant, three times for a refusal.
        beeper_output: Option<u8> = "beeper-output", int(0, 15), optional, Restart;
    }
}

impl FrontEndKeys {
    /// Every output, with its key.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&'static str, u8)> {
        let lights = lights(self.led_output, self.second_led_output, self.beeper_output);
        self.pull_output
            .map(|output| ("pull-output", output))
            .into_iter()
            .chain(lights)
    }
}

table! {
    /// A Clock & Data reader (magnetic stripe, ABA track 2) at inputs of a front end. A whole track with right parity and check
    /// character is the card `track2:DIGITS`; everything else is reported and opens nothing.
    pub struct FrontEndClockData {
        /// Its line port; the name under `/dev/serial/by-id` stays the same when front ends are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Bits per second, 9600 to 3000000; one with USB of its own takes any.
        baud: u32 = "baud", int(9600, 3_000_000), or("921600"), Restart;
        /// Input of the clock (strobe), 0 to 15.
        clock_input: u8 = "clock-input", int(0, 15), required, Restart;
        /// Input of data, 0 to 15.
        data_input: u8 = "data-input", int(0, 15), required, Restart;
        /// Input of the wire that is active while a card is read (card present, card loading); left out if it is not wired. With
        /// it, clocks at other times are noise.
        card_present_input: Option<u8> = "card-present-input", int(0, 15), optional, Restart;
        /// True if a one, a clock and a card that is present are low levels, as readers send them; false behind inverting
        /// optocouplers.
        active_low: bool = "active-low", Flag, or("true"), Restart;
        /// Silence of the clock that ends a card, 5 to 200 ms. Longer than the slowest pause between two bits: a stripe that is
        /// drawn by hand has up to 10 ms.
        frame_gap: Duration = "frame-gap-ms", ms(5, 200), or("25"), Restart;
        /// The same card counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
        /// Output of the LED: on while a door opens, blinking while digits are awaited.
        led_output: Option<u8> = "led-output", int(0, 15), optional, Restart;
        /// Output of a second LED: on for 1 s after a refusal.
        second_led_output: Option<u8> = "second-led-output", int(0, 15), optional, Restart;
        /// Output of the beeper: once for a grant, three times for a refusal.
        beeper_output: Option<u8> = "beeper-output", int(0, 15), optional, Restart;
    }
}

impl FrontEndClockData {
    /// Every input, with its key.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&'static str, u8)> {
        let all = [
            ("clock-input", Some(self.clock_input)),
            ("data-input", Some(self.data_input)),
            ("card-present-input", self.card_present_input),
        ];
        all.into_iter().filter_map(|(key, input)| Some((key, input?)))
    }

    /// Every output, with its key.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&'static str, u8)> {
        lights(self.led_output, self.second_led_output, self.beeper_output)
    }
}

fn lights(
    led: Option<u8>,
    second_led: Option<u8>,
    beeper: Option<u8>,
) -> impl Iterator<Item = (&'static str, u8)> {
    let all = [
        ("led-output", led),
        ("second-led-output", second_led),
        ("beeper-output", beeper),
    ];
    all.into_iter().filter_map(|(key, output)| Some((key, output?)))
}
