//! `[readers.*.wiegand]` and `[card-formats.*]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_card::{Format, FormatError};
use gateway_core::{CardFrame, FormatId};

use crate::describe::table;
use crate::rules::{Flag, Path, int, into, list, ms, name, parsed, secs, table, text, word};
use crate::value::{Bias, CardText, Keypad};

table! {
    /// A Wiegand reader on two pins of a GPIO chip. A card of it is one of the configured formats with right parity;
    /// everything else is reported and opens nothing.
    pub struct WiegandReader {
        /// Device of the chip.
        chip: PathBuf = "chip", Path, or("\"/dev/gpiochip0\""), Restart;
        /// Offset of the line that D0 is wired to. On a Raspberry Pi this is the BCM number.
        d0: u32 = "d0", int(0, 1023), required, Restart;
        /// Offset of the line that D1 is wired to.
        d1: u32 = "d1", int(0, 1023), required, Restart;
        /// Resistor of both pins.
        bias: Bias = "bias", word(), or("\"pull-up\""), Restart;
        /// True if a pulse is a low level, as readers send it; false behind an inverting optocoupler.
        active_low: bool = "active-low", Flag, or("true"), Restart;
        /// Formats that are cards, by name: published ones such as `h10301` (26 bits), listed by
        /// `doorline decode wiegand --formats`, and those under `card-formats`. An empty list is every one of them.
        formats: Vec<FormatId> = "formats", list(name(), 0, 32), or("[]"), Restart;
        /// Silence that ends a frame, 5 to 200 ms. Longer than the slowest pause between two bits of the reader, 20 ms at
        /// most; a card is acted on only after it.
        frame_gap: Duration = "frame-gap-ms", ms(5, 200), or("25"), Restart;
        /// How its keypad sends keys.
        keypad: Keypad = "keypad", word(), or("\"none\""), Restart;
        /// The same card counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
        /// What the reader sends by itself to show that it lives, written as a card; it is then no card. Without it a cut
        /// cable cannot be noticed.
        heartbeat: Option<CardFrame> = "heartbeat", into(parsed::<CardText>(), |c| c.0), optional, Restart;
        /// Longest time between two signs of life, 2 to 3600 s.
        heartbeat_limit: Duration = "heartbeat-s", secs(2, 3600), or("90"), Restart;
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

impl WiegandReader {
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

table! {
    /// A pin that drives a wire of a reader: a light, a beeper. It opens nothing, and a pin of an output is refused.
    pub struct ReaderWire {
        /// Device of the chip.
        chip: PathBuf = "chip", Path, or("\"/dev/gpiochip0\""), Restart;
        /// Offset of the line on its chip.
        line: u32 = "line", int(0, 1023), required, Restart;
        /// True if a low level of the pin switches it on. Readers want a low level on the wire; a transistor between pin and
        /// wire inverts.
        active_low: bool = "active-low", Flag, or("true"), Restart;
    }
}

table! {
    /// A card format of this site, as masks: one letter for each bit in the order of transmission.
    pub struct CardFormat {
        /// What each bit is for: `F` facility, `N` number, `I` issue level, `M` manufacturer, `P` parity, `0` or `1` for bits
        /// that never change, `.` for bits of no meaning.
        layout: String = "layout", text(1, 256), required, Restart;
        /// One mask for each `P`, as long as the layout: `E` (even) or `O` (odd) at the parity bit, `X` at each bit it covers,
        /// `.` elsewhere. A mask that covers another parity bit comes after that bit's own.
        parity: Vec<String> = "parity", list(text(1, 256), 0, 16), or("[]"), Restart;
        /// Name for people, 1 to 60 characters.
        title: Option<String> = "title", text(1, 60), optional, Live;
    }
}

impl CardFormat {
    /// The format under its name.
    ///
    /// # Errors
    /// [`FormatError`] if the masks do not belong together.
    pub fn format(&self, name: &FormatId) -> Result<Format, FormatError> {
        let parity: Vec<&str> = self.parity.iter().map(String::as_str).collect();
        let title = self.title.as_deref().unwrap_or("a format of this site");
        Format::parse(name.as_str(), title, &self.layout, &parity)
    }
}
