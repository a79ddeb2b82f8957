//! Readers of the site on pins and at 1-Wire masters, and what the core lets readers show.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use adapter_api::{Forwarded, Handed};
use adapter_gpio::{
    ClockDataPins, GpioReader, Opening, ReaderData, ReaderPin, ReaderPins, ReaderWires, WiegandPins,
};
use adapter_ibutton::KeyReader;
use adapter_wiegand::{ClockDataParams, Heartbeat, Keypad, WiegandParams};
use gateway_card::{Format, Translation, format_named, formats};
use gateway_config::{Backend, Bias, Config, OutputDriver, ReaderDriver, ReaderWire, WiegandReader};
use gateway_core::{CardFrame, ControllerId, FormatId, Instant, ReaderCommand, ReaderId};
use tokio::sync::broadcast;

/// Commands that a reader may be behind; of more it sees the last ones, and the last one is what counts.
const BEHIND: usize = 16;
/// Cards that all controllers together may be behind.
const CARDS: usize = 64;

type Channels = BTreeMap<ReaderId, broadcast::Sender<ReaderCommand>>;

/// Where what readers show is told, and where their cards are handed on. Nobody ever waits for a light or a controller.
#[derive(Clone)]
pub(crate) struct Readers {
    /// For every controller; each takes its own.
    cards: broadcast::Sender<Forwarded>,
    channels: Arc<RwLock<Channels>>,
    recipes: Arc<RwLock<BTreeMap<ControllerId, Recipe>>>,
}

/// What cards become on their way to a controller.
#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    /// Formats of each reader.
    pub(super) formats: BTreeMap<ReaderId, Vec<Format>>,
    /// What they become.
    pub(super) translation: Translation,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            cards: broadcast::channel(CARDS).0,
            channels: Arc::default(),
            recipes: Arc::default(),
        }
    }
}

impl Readers {
    /// Tells a reader what to show; one without lights, or that does not run, shows nothing.
    pub(crate) fn give(&self, reader: &ReaderId, command: ReaderCommand) {
        if let Ok(channels) = self.channels.read()
            && let Some(to) = channels.get(reader)
        {
            // nobody listens while the reader starts anew
            let _ = to.send(command);
        }
    }

    /// The channel of a reader, the same one for as long as the process lives.
    pub(super) fn channel(&self, reader: &ReaderId) -> broadcast::Sender<ReaderCommand> {
        let new = || broadcast::channel(BEHIND).0;
        match self.channels.write() {
            Ok(mut channels) => channels.entry(reader.clone()).or_insert_with(new).clone(),
            Err(_) => new(),
        }
    }

    /// Hands a card on to a controller, in its words; one that does not run gets none. What nobody read goes out as it is.
    pub(crate) fn forward(
        &self,
        at: Instant,
        controller: ControllerId,
        frame: &CardFrame,
        reader: Option<ReaderId>,
    ) {
        let what = match &reader {
            None => Ok(frame.clone()),
            Some(reader) => self.translated(&controller, frame, reader),
        };
        // nobody listens while it starts anew
        let _ = self.cards.send(Forwarded {
            at,
            controller,
            reader,
            what: what.map(Handed::Card),
        });
    }

    /// Hands a key on to a controller; one that does not run gets none.
    pub(crate) fn forward_key(&self, at: Instant, controller: ControllerId, key: char, reader: ReaderId) {
        let _ = self.cards.send(Forwarded {
            at,
            controller,
            reader: Some(reader),
            what: Ok(Handed::Key(key)),
        });
    }

    fn translated(
        &self,
        controller: &ControllerId,
        frame: &CardFrame,
        reader: &ReaderId,
    ) -> Result<CardFrame, String> {
        let recipe = self.recipes.read().ok();
        let recipe = recipe.and_then(|recipes| recipes.get(controller).cloned());
        let Recipe { formats, translation } = recipe.unwrap_or_default();
        let formats = formats.get(reader).map_or(&[][..], Vec::as_slice);
        translation.of(frame, formats).map_err(|error| {
            let why = std::error::Error::source(&error);
            why.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"))
        })
    }

    /// Where controllers get their cards.
    pub(crate) fn cards(&self) -> broadcast::Sender<Forwarded> {
        self.cards.clone()
    }

    /// What cards become from here on.
    pub(super) fn set_recipes(&self, recipes: BTreeMap<ControllerId, Recipe>) {
        if let Ok(mut known) = self.recipes.write() {
            *known = recipes;
        }
    }
}

/// The readers of contact keys of the site, by name.
pub(super) fn key_readers(config: &Config) -> BTreeMap<ReaderId, KeyReader> {
    let made = config
        .readers
        .iter()
        .filter_map(|(id, reader)| match &reader.driver {
            ReaderDriver::ClockData(_)
            | ReaderDriver::FrontEndClockData(_)
            | ReaderDriver::FrontEndKeys(_)
            | ReaderDriver::Osdp(_)
            | ReaderDriver::Virtual(_)
            | ReaderDriver::Wiegand(_) => None,
            ReaderDriver::Ibutton(of) => {
                let made = KeyReader {
                    master: of.master.clone(),
                    reader: id.clone(),
                    repeat: of.repeat,
                };
                Some((id.clone(), made))
            }
        });
    made.collect()
}

/// What a reader on pins has in the site file.
struct OnPins<'a> {
    active_low: bool,
    beeper: Option<&'a ReaderWire>,
    bias: Bias,
    chip: &'a Path,
    data: ReaderData,
    hold: Option<&'a ReaderWire>,
    led: Option<&'a ReaderWire>,
    second_led: Option<&'a ReaderWire>,
}

fn on_pins<'a>(config: &Config, driver: &'a ReaderDriver) -> Option<OnPins<'a>> {
    match driver {
        ReaderDriver::ClockData(reader) => Some(OnPins {
            active_low: reader.active_low,
            beeper: reader.beeper.as_ref(),
            bias: reader.bias,
            chip: &reader.chip,
            data: ReaderData::ClockData(
                ClockDataPins {
                    clock: reader.clock,
                    data: reader.data,
                    present: reader.card_present,
                },
                ClockDataParams {
                    card_present: reader.card_present.is_some(),
                    frame_gap: reader.frame_gap,
                    repeat: reader.repeat,
                },
            ),
            hold: reader.hold.as_ref(),
            led: reader.led.as_ref(),
            second_led: reader.second_led.as_ref(),
        }),
        ReaderDriver::FrontEndClockData(_)
        | ReaderDriver::FrontEndKeys(_)
        | ReaderDriver::Ibutton(_)
        | ReaderDriver::Osdp(_)
        | ReaderDriver::Virtual(_) => None,
        ReaderDriver::Wiegand(reader) => Some(OnPins {
            active_low: reader.active_low,
            beeper: reader.beeper.as_ref(),
            bias: reader.bias,
            chip: &reader.chip,
            data: ReaderData::Wiegand(
                WiegandPins {
                    d0: reader.d0,
                    d1: reader.d1,
                },
                params(config, reader),
            ),
            hold: reader.hold.as_ref(),
            led: reader.led.as_ref(),
            second_led: reader.second_led.as_ref(),
        }),
    }
}

/// The readers of the site that are on pins, by name.
pub(super) fn gpio_readers(config: &Config, readers: &Readers) -> BTreeMap<ReaderId, GpioReader> {
    let opening = opening(config);
    let made = config.readers.iter().filter_map(|(id, reader)| {
        let of = on_pins(config, &reader.driver)?;
        let made = GpioReader {
            commands: readers.channel(id),
            opening: opening.clone(),
            pins: ReaderPins {
                active_low: of.active_low,
                bias: bias(of.bias),
                chip: of.chip.to_owned(),
            },
            reader: id.clone(),
            wires: ReaderWires {
                beeper: of.beeper.map(pin),
                hold: of.hold.map(pin),
                led: of.led.map(pin),
                second_led: of.second_led.map(pin),
            },
            data: of.data,
        };
        Some((id.clone(), made))
    });
    made.collect()
}

/// Lines of pins that open something.
fn opening(config: &Config) -> Vec<Opening> {
    let line = |output: &gateway_config::Output| match &output.driver {
        OutputDriver::Gpio(pin) => Some(Opening {
            chip: (pin.backend == Backend::Gpiocdev).then(|| pin.chip.clone()),
            line: pin.line,
        }),
        OutputDriver::Dcttech(_)
        | OutputDriver::FrontEnd(_)
        | OutputDriver::Http(_)
        | OutputDriver::Kmtronic(_)
        | OutputDriver::Lcus1(_)
        | OutputDriver::Modbus(_)
        | OutputDriver::Mqtt(_)
        | OutputDriver::Numato(_)
        | OutputDriver::Osdp(_)
        | OutputDriver::Virtual(_) => None,
    };
    config.outputs.values().filter_map(line).collect()
}

pub(super) const fn bias(bias: Bias) -> adapter_gpio::Bias {
    match bias {
        Bias::AsIs => adapter_gpio::Bias::AsIs,
        Bias::Disabled => adapter_gpio::Bias::Disabled,
        Bias::PullDown => adapter_gpio::Bias::PullDown,
        Bias::PullUp => adapter_gpio::Bias::PullUp,
    }
}

fn pin(wire: &ReaderWire) -> ReaderPin {
    ReaderPin {
        active_low: wire.active_low,
        chip: wire.chip.clone(),
        line: wire.line,
    }
}

fn params(config: &Config, reader: &WiegandReader) -> WiegandParams {
    WiegandParams {
        formats: accepted(config, &reader.formats),
        frame_gap: reader.frame_gap,
        heartbeat: reader.heartbeat.as_ref().map(|frame| Heartbeat {
            frame: frame.clone(),
            limit: reader.heartbeat_limit,
        }),
        keypad: match reader.keypad {
            gateway_config::Keypad::Either => Keypad::Either,
            gateway_config::Keypad::Eight => Keypad::Eight,
            gateway_config::Keypad::Four => Keypad::Four,
            gateway_config::Keypad::None => Keypad::None,
        },
        repeat: reader.repeat,
    }
}

/// The formats that are cards at this reader: those it names, or all there are.
pub(super) fn accepted(config: &Config, names: &[FormatId]) -> Vec<Format> {
    let named = |name: &FormatId| of_name(config, name);
    if names.is_empty() {
        return site_formats(config).chain(formats().iter().cloned()).collect();
    }
    names.iter().filter_map(named).collect()
}

pub(super) fn of_name(config: &Config, name: &FormatId) -> Option<Format> {
    let own = config
        .card_formats
        .get(name)
        .and_then(|format| format.format(name).ok());
    own.or_else(|| format_named(name.as_str()).cloned())
}

/// The site's own formats; the check has refused what is none.
pub(crate) fn site_formats(config: &Config) -> impl Iterator<Item = Format> {
    config
        .card_formats
        .iter()
        .filter_map(|(name, format)| format.format(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Config {
        let text = format!(
            "{}\n{text}",
            include_str!("../../../config/examples/minimal.toml")
        );
        let loaded = gateway_config::parse(
            "site.toml",
            std::path::Path::new("."),
            &text,
            gateway_config::SecretFiles::Untouched,
        );
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    fn reader(config: &Config) -> GpioReader {
        let mut all = gpio_readers(config, &Readers::default());
        all.pop_first().expect("one reader").1
    }

    fn formats_of(config: &Config) -> Vec<Format> {
        match reader(config).data {
            ReaderData::ClockData(..) => panic!("it is a Wiegand reader"),
            ReaderData::Wiegand(_, params) => params.formats,
        }
    }

    #[test]
    fn a_clock_data_reader_has_its_lines_and_lights() {
        let text = "[readers.a.clock-data]\nclock = 5\ndata = 6\ncard-present = 7\nled = { line = 8 }\nrepeat-ms = 100\n";
        let made = reader(&site(text));
        let ReaderData::ClockData(pins, params) = &made.data else {
            panic!("it is a Clock & Data reader")
        };
        assert_eq!((pins.clock, pins.data, pins.present), (5, 6, Some(7)));
        assert!(params.card_present && params.repeat.as_millis() == 100);
        assert_eq!(made.claims().len(), 4);
        assert_ne!(made, reader(&site(&text.replace("card-present = 7\n", ""))));
    }

    #[test]
    fn a_reader_takes_the_formats_it_names_or_all() {
        let own = "[card-formats.house]\nlayout = \"PNNNP\"\nparity = [\"EXX..\", \"..XXO\"]\n[readers.a.wiegand]\nd0 = 5\nd1 = 6\n";
        let all = formats_of(&site(own));
        assert_eq!(all.len(), formats().len() + 1);
        let two = formats_of(&site(&format!("{own}formats = [\"house\", \"h10301\"]")));
        let names: Vec<&str> = two.iter().map(Format::name).collect();
        assert_eq!(names, ["house", "h10301"]);
    }

    #[test]
    fn a_change_of_a_format_is_a_change_of_the_readers_that_take_it() {
        let with = |layout: &str, formats: &str| {
            reader(&site(&format!(
                "[card-formats.house]\nlayout = \"{layout}\"\n[readers.a.wiegand]\nd0 = 5\nd1 = 6\nformats = [\"{formats}\"]"
            )))
        };
        assert_eq!(with("NNN", "house"), with("NNN", "house"));
        assert_ne!(with("NNN", "house"), with("NNF", "house"));
        assert_eq!(with("NNN", "h10301"), with("NNF", "h10301"));
    }

    #[test]
    fn a_light_is_told_without_waiting_and_the_last_word_is_kept() {
        let readers = Readers::default();
        let street: ReaderId = "street".parse().expect("a name");
        readers.give(&street, ReaderCommand::Denied);
        let mut shown = readers.channel(&street).subscribe();
        for _ in 0..1000 {
            readers.give(&street, ReaderCommand::WaitPin);
        }
        readers.give(&street, ReaderCommand::Idle);
        let mut last = None;
        loop {
            match shown.try_recv() {
                Ok(command) => last = Some(command),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        assert_eq!(last, Some(ReaderCommand::Idle));
    }
}
