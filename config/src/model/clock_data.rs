//! `[readers.*.clock-data]`.

use std::path::PathBuf;
use std::time::Duration;

use super::wiegand::ReaderWire;
use crate::describe::table;
use crate::rules::{Flag, Path, int, ms, table, word};
use crate::value::Bias;

table! {
    /// A Clock & Data reader (magnetic stripe, ABA track 2) on two or three pins of a GPIO chip. A whole track with right
    /// parity and check character is the card `track2:DIGITS`; everything else is reported and opens nothing.
    pub struct ClockDataReader {
        /// Device of the chip.
        chip: PathBuf = "chip", Path, or("\"/dev/gpiochip0\""), Restart;
        /// Offset of the line that the clock (strobe) is wired to. On a Raspberry Pi this is the BCM number.
        clock: u32 = "clock", int(0, 1023), required, Restart;
        /// Offset of the line that data is wired to.
        data: u32 = "data", int(0, 1023), required, Restart;
        /// Offset of the line of the wire that is active while a card is read (card present, card loading); left out if it is
        /// not wired. With it, clocks at other times are noise.
        card_present: Option<u32> = "card-present", int(0, 1023), optional, Restart;
        /// Resistor of these pins.
        bias: Bias = "bias", word(), or("\"pull-up\""), Restart;
        /// True if a one, a clock and a card that is present are low levels, as readers send them; false behind inverting
        /// optocouplers.
        active_low: bool = "active-low", Flag, or("true"), Restart;
        /// Silence of the clock that ends a card, 5 to 200 ms. Longer than the slowest pause between two bits: a stripe that is
        /// drawn by hand has up to 10 ms.
        frame_gap: Duration = "frame-gap-ms", ms(5, 200), or("25"), Restart;
        /// The same card counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
        /// Wire of the LED: on while a door opens, blinking while digits are awaited.
        led: Option<ReaderWire> = "led", table(), optional, Restart;
        /// Wire of a second LED: on for 1 s after a refusal.
        second_led: Option<ReaderWire> = "second-led", table(), optional, Restart;
        /// Wire of the beeper: once for a grant, three times for a refusal.
        beeper: Option<ReaderWire> = "beeper", table(), optional, Restart;
        /// Hold wire: active for 1 s after a decision, in which the reader keeps the next card.
        hold: Option<ReaderWire> = "hold", table(), optional, Restart;
    }
}

impl ClockDataReader {
    /// The lines that it reads, with their keys.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, u32)> {
        let all = [
            ("clock", Some(self.clock)),
            ("data", Some(self.data)),
            ("card-present", self.card_present),
        ];
        all.into_iter()
            .filter_map(|(key, line)| Some((key, line?)))
            .collect()
    }

    /// The wires to the reader that are there, with their keys.
    #[must_use]
    pub fn wires(&self) -> Vec<(&'static str, &ReaderWire)> {
        let all = [
            ("led", &self.led),
            ("second-led", &self.second_led),
            ("beeper", &self.beeper),
            ("hold", &self.hold),
        ];
        all.into_iter()
            .filter_map(|(key, wire)| Some((key, wire.as_ref()?)))
            .collect()
    }
}
