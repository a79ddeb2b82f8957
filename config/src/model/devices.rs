//! `[outputs.*]`, `[inputs.*]`, `[lines.*]` and `[readers.*]`.

use std::path::PathBuf;
use std::time::Duration;

use super::boards::{Dcttech, Kmtronic, Modbus, Numato};
use super::clock_data::ClockDataReader;
use super::front_end::{FrontEndDoor, FrontEndLine};
use super::front_end_reader::{FrontEndClockData, FrontEndKeys};
use super::ibutton::IbuttonReader;
use super::modbus::ModbusInput;
use super::osdp::{KeyFile, OsdpInput, OsdpOutput, OsdpReader};
use super::outside::{HttpOutput, MqttInput, MqttOutput, WebhookInput};
use super::wiegand::WiegandReader;
use gateway_access::When;
use gateway_core::{AreaId, FormatId};

use crate::describe::{choice, table};
use crate::rules::{Flag, Path, int, ms, parsed, refer, secs, table, when, word};
use crate::value::{Backend, Bias, BootPull, CallIn, Capture, Echo, Noise, OpenWhen, Playback, SoundCard};

table! {
    /// One relay, board channel or pin that can be energised.
    pub struct Output {
        /// The guard's own cap: it releases the output after this time whatever the gateway says. At most
        /// 25000 ms unless a door with `duty = "continuous"` uses it.
        max_on: Duration = "max-on-ms", ms(100, 86_400_000), or("25000"), Restart;
        one of
        /// What drives it.
        driver: OutputDriver;
    }
}

choice! {
    /// What drives an output.
    pub enum OutputDriver {
        /// A relay of a USB board that is a HID device.
        Dcttech(Dcttech) = "dcttech",
        /// A door of a front end of panel lines.
        FrontEnd(FrontEndDoor) = "front-end",
        /// A pin of a GPIO chip.
        Gpio(GpioOutput) = "gpio",
        /// A relay that takes web requests.
        Http(Box<HttpOutput>) = "http",
        /// A relay of a KMTronic board, USB or RS-232.
        Kmtronic(Kmtronic) = "kmtronic",
        /// A channel of a serial relay board of the LCUS-1 family.
        Lcus1(Lcus1) = "lcus1",
        /// A relay of a board that speaks Modbus.
        Modbus(Modbus) = "modbus",
        /// A relay of a device at the broker of `[mqtt]`.
        Mqtt(Box<MqttOutput>) = "mqtt",
        /// A relay of a Numato USB relay module.
        Numato(Numato) = "numato",
        /// An output of an OSDP reader.
        Osdp(OsdpOutput) = "osdp",
        /// An output that exists only in the gateway.
        Virtual(VirtualOutput) = "virtual",
    }
}

impl OutputDriver {
    /// True if it exists only in the gateway.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    /// True if the board itself ends a pulse, also when everything else has died.
    #[must_use]
    pub fn is_self_timed(&self) -> bool {
        match self {
            Self::FrontEnd(_) | Self::Osdp(_) => true,
            Self::Http(relay) => relay.is_self_timed(),
            Self::Modbus(board) => board.is_self_timed(),
            Self::Mqtt(relay) => relay.is_self_timed(),
            // The others stay as they were written last.
            Self::Dcttech(_)
            | Self::Gpio(_)
            | Self::Kmtronic(_)
            | Self::Lcus1(_)
            | Self::Numato(_)
            | Self::Virtual(_) => false,
        }
    }

    /// Of a board whose relays stay as they were written last: the time of the timer relay behind the channel, if
    /// there is one.
    #[must_use]
    pub fn latches(&self) -> Option<Option<Duration>> {
        match self {
            Self::Dcttech(relay) => Some(relay.timer),
            Self::Kmtronic(relay) => Some(relay.timer),
            Self::Lcus1(relay) => Some(relay.timer),
            Self::Numato(relay) => Some(relay.timer),
            Self::Modbus(board) => (!board.is_self_timed()).then_some(board.timer),
            Self::FrontEnd(_)
            | Self::Gpio(_)
            | Self::Http(_)
            | Self::Mqtt(_)
            | Self::Osdp(_)
            | Self::Virtual(_) => None,
        }
    }
}

table! {
    /// A pin of a GPIO chip that drives a relay.
    pub struct GpioOutput {
        /// Device of the chip.
        chip: PathBuf = "chip", Path, or("\"/dev/gpiochip0\""), Restart;
        /// Offset of the line on its chip, from 0. On a Raspberry Pi this is the BCM number.
        line: u32 = "line", int(0, 1023), required, Restart;
        /// True if a low level energises the relay.
        active_low: bool = "active-low", Flag, or("false"), Restart;
        /// What the pin does from power-on until software takes it. A pull that would energise the relay is
        /// refused.
        boot_pull: BootPull = "boot-pull", word(), or("\"unknown\""), Restart;
        /// Library that drives the chip.
        backend: Backend = "backend", word(), or("\"gpiocdev\""), Restart;
    }
}

table! {
    /// A channel of a serial relay board of the LCUS-1 family.
    pub struct Lcus1 {
        /// Serial port; the name under `/dev/serial/by-id` stays the same when boards are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Channel as printed on the board, 1 to 8.
        channel: u16 = "channel", int(1, 8), or("1"), Restart;
        /// Bits per second, 1200 to 115200.
        baud: u32 = "baud", int(1200, 115_200), or("9600"), Restart;
        /// Time after which a timer relay behind the channel releases the lock by itself, 100 ms to 60 s; left out
        /// if there is none. The board keeps a channel on when everything that could switch it off has died.
        timer: Option<Duration> = "timer-ms", ms(100, 60_000), optional, Live;
    }
}

table! {
    /// An output that exists only in the gateway.
    pub struct VirtualOutput {}
}

table! {
    /// A digital input: a button, a contact, a request to exit.
    pub struct Input {
        /// For how long it must be active to count, 500 to 5500 ms: for buttons that are leaned on, and for those that mean
        /// something. Without it its debounce. Not for exits, fire and contacts, which nobody has to wait for.
        press: Option<Duration> = "press-ms", ms(500, 5500), optional, Live;
        one of
        /// What reads it.
        driver: InputDriver;
    }
}

choice! {
    /// What reads an input.
    pub enum InputDriver {
        /// A pin of a GPIO chip.
        Gpio(GpioInput) = "gpio",
        /// A module that speaks Modbus.
        Modbus(Box<ModbusInput>) = "modbus",
        /// A device at the broker of `[mqtt]`.
        Mqtt(Box<MqttInput>) = "mqtt",
        /// An input of an OSDP reader.
        Osdp(OsdpInput) = "osdp",
        /// An input that is operated by `doorline sim` only.
        Virtual(VirtualInput) = "virtual",
        /// A web client.
        Webhook(Box<WebhookInput>) = "webhook",
    }
}

impl InputDriver {
    /// True if it exists only in the gateway.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }
}

table! {
    /// A pin of a GPIO chip that is read.
    pub struct GpioInput {
        /// Device of the chip.
        chip: PathBuf = "chip", Path, or("\"/dev/gpiochip0\""), Restart;
        /// Offset of the line on its chip, from 0. On a Raspberry Pi this is the BCM number.
        line: u32 = "line", int(0, 1023), required, Restart;
        /// Resistor of the pin.
        bias: Bias = "bias", word(), or("\"pull-up\""), Restart;
        /// True if a low level means active: a contact between pin and ground.
        active_low: bool = "active-low", Flag, or("true"), Restart;
        /// A level counts when it has stood for so long, 0 to 1000 ms.
        debounce: Duration = "debounce-ms", ms(0, 1000), or("30"), Restart;
        /// Library that reads the chip.
        backend: Backend = "backend", word(), or("\"gpiocdev\""), Restart;
    }
}

table! {
    /// An input that is operated by `doorline sim` only.
    pub struct VirtualInput {
        /// True: its first reading is active, as that of a button that is held at the start.
        active_at_start: bool = "active-at-start", Flag, or("false"), Restart;
    }
}

table! {
    /// The wires where panels reach the gateway: one talk path.
    pub struct Line {
        /// May the gateway open the talk path without a ring?
        call_in: CallIn = "call-in", word(), or("\"none\""), Live;
        /// When the line can open its door. On a front end it is never more than its profile can; so are the two windows.
        open_when: OpenWhen = "open-when", word(), or("\"always\""), Live;
        /// How long the panel rings, 10 to 600 s: no call of it rings for longer.
        ring_window: Duration = "ring-window-s", secs(10, 600), or("120"), Live;
        /// How long the panel lets talk, 10 to 3600 s.
        talk_window: Duration = "talk-window-s", secs(10, 3600), or("120"), Live;
        /// How loud the visitor hears, -40 to 12 dB; 0 is as loud as it comes. Speech, tones and prompts.
        speaker: i8 = "speaker-db", int(-40, 12), or("0"), Live;
        /// How loud the visitor is heard, -40 to 12 dB.
        microphone: i8 = "microphone-db", int(-40, 12), or("0"), Live;
        /// When it is as loud as the two keys below say, in a talk that goes on, too. While the clock is not believed it is not.
        quiet_times: When = "quiet-times", when(), or("\"never\""), Live;
        /// How loud the visitor hears then, -40 to 12 dB; without it 12 dB less than at other times.
        quiet_speaker: Option<i8> = "quiet-speaker-db", int(-40, 12), optional, Live;
        /// How loud the visitor is heard then, -40 to 12 dB; without it as at other times.
        quiet_microphone: Option<i8> = "quiet-microphone-db", int(-40, 12), optional, Live;
        /// How its voices are treated; without this table they pass as they are.
        voice: Option<LineVoice> = "voice", table(), optional, Live;
        /// The sound card that its voices go through; without this table a line with buttons or on a front end has none.
        sound: Option<LineSound> = "sound", table(), optional, Restart;
        one of
        /// What it is wired to.
        driver: LineDriver;
    }
}

table! {
    /// A sound card (ALSA): the panel speaks into its microphone's side, and hears its loudspeaker's.
    pub struct LineSound {
        /// Id of the card, as it stands in brackets in `/proc/asound/cards`; `doorline doctor` lists them.
        card: SoundCard = "id", parsed(), needed("'Device'"), Restart;
        /// Device of the card.
        device: u8 = "device", int(0, 31), or("0"), Restart;
    }
}

table! {
    /// How the voices of a line are treated. Written without keys, it is right for a line of two wires.
    pub struct LineVoice {
        /// Where the panel's echo comes from; it is taken out of what the phone hears.
        echo: Echo = "echo", word(), or("\"hybrid\""), Live;
        /// How long an echo lasts after its begin, 16 to 256 ms; without it 48 ms for a hybrid, 128 ms for a speaker. The
        /// begin is found by itself, up to 400 ms late.
        echo_tail: Option<Duration> = "echo-tail-ms", ms(16, 256), optional, Live;
        /// How much of the noise at the panel is taken away.
        noise: Noise = "noise", word(), or("\"low\""), Live;
        /// True: quiet and loud visitors come to one level.
        gain: bool = "gain", Flag, or("true"), Live;
        /// True: hum of the mains, 50 or 60 Hz and multiples, is found and taken away.
        hum: bool = "hum", Flag, or("true"), Live;
        /// True: one direction at a time, for wires that howl otherwise. The louder one has the turn.
        half_duplex: bool = "half-duplex", Flag, or("false"), Live;
    }
}

choice! {
    /// What a line is wired to.
    pub enum LineDriver {
        /// Buttons only: no handset, and no audio unless it has a sound card.
        Contact(ContactLine) = "contact",
        /// A panel line on a front end.
        FrontEnd(Box<FrontEndLine>) = "front-end",
        /// A line that exists only in the gateway, with audio from and to files.
        Virtual(VirtualLine) = "virtual",
    }
}

impl LineDriver {
    /// True if it exists only in the gateway.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }
}

table! {
    /// Buttons only: without a sound card calls carry silence from the door.
    pub struct ContactLine {}
}

table! {
    /// A line that exists only in the gateway.
    pub struct VirtualLine {
        /// What the visitor says: `tone:HZ`, `silence`, or the path of a WAV file that is looped.
        capture: Capture = "capture", parsed(), or("\"silence\""), Restart;
        /// What becomes of what the visitor would hear: `discard`, or the path of a WAV file to write.
        playback: Playback = "playback", parsed(), or("\"discard\""), Restart;
    }
}

table! {
    /// A reader of cards, with or without keypad.
    pub struct Reader {
        /// When a card opens alone. At other times, and while the clock is not believed, the PIN of its holder is
        /// typed after it: within 10 s, `#` ends it.
        card_alone: When = "card-alone", when(), or("\"always\""), Live;
        /// Area in which somebody is who was let in here.
        into: Option<AreaId> = "into", refer("area"), optional, Live;
        /// Area that somebody leaves here; without `into` they are outside then. Who leaves is never refused for it.
        out_of: Option<AreaId> = "out-of", refer("area"), optional, Live;
        one of
        /// What it is.
        driver: ReaderDriver;
    }
}

choice! {
    /// What a reader is.
    pub enum ReaderDriver {
        /// A Clock & Data reader on pins of a GPIO chip.
        ClockData(Box<ClockDataReader>) = "clock-data",
        /// A Clock & Data reader at inputs of a front end.
        FrontEndClockData(Box<FrontEndClockData>) = "front-end-clock-data",
        /// Contact keys at a front end.
        FrontEndKeys(Box<FrontEndKeys>) = "front-end-keys",
        /// Contact keys at a 1-Wire master of the kernel.
        Ibutton(Box<IbuttonReader>) = "ibutton",
        /// An OSDP reader on an RS-485 line.
        Osdp(Box<OsdpReader>) = "osdp",
        /// A reader that is operated by `doorline sim` only.
        Virtual(VirtualReader) = "virtual",
        /// A Wiegand reader on pins of a GPIO chip.
        Wiegand(Box<WiegandReader>) = "wiegand",
    }
}

impl ReaderDriver {
    /// Formats that it takes, by name; `None` if it sends no bits, or those of a track.
    #[must_use]
    pub fn formats(&self) -> Option<&[FormatId]> {
        match self {
            Self::Osdp(reader) => Some(&reader.formats),
            Self::ClockData(_)
            | Self::FrontEndClockData(_)
            | Self::FrontEndKeys(_)
            | Self::Ibutton(_)
            | Self::Virtual(_) => None,
            Self::Wiegand(reader) => Some(&reader.formats),
        }
    }

    /// Its files with keys, with the names of their keys in the site file.
    pub(crate) fn key_files(&mut self) -> Vec<(&'static str, &mut KeyFile)> {
        match self {
            Self::Osdp(reader) => {
                let own = reader.key_file.as_mut().map(|file| ("key-file", file));
                let old = reader.old_key_file.as_mut().map(|file| ("old-key-file", file));
                own.into_iter().chain(old).collect()
            }
            Self::ClockData(_)
            | Self::FrontEndClockData(_)
            | Self::FrontEndKeys(_)
            | Self::Ibutton(_)
            | Self::Virtual(_)
            | Self::Wiegand(_) => vec![],
        }
    }

    /// True if it exists only in the gateway.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }
}

table! {
    /// A reader that is operated by `doorline sim` only.
    pub struct VirtualReader {}
}
