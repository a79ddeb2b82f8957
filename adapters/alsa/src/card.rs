//! Cards: their names, what is there, and opening one side of one.

use std::fmt;
use std::str::FromStr;

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};

/// Length of a period, in periods a second.
const PERIODS: u32 = 100;
/// Rates in the order in which they are wanted: the engine's own first, then what cards mostly have.
const RATES: [u32; 6] = [16_000, 48_000, 32_000, 44_100, 96_000, 8_000];

/// One device of a card, by the card's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CardName {
    card: String,
    device: u8,
}

impl CardName {
    /// `card` is the id in brackets in `/proc/asound/cards`: 1 to 15 letters, digits, `_` or `-`. `None` for any other text.
    #[must_use]
    pub fn new(card: &str, device: u8) -> Option<Self> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
        ((1..=15).contains(&card.len()) && card.bytes().all(fits) && device < 32).then(|| Self {
            card: card.to_owned(),
            device,
        })
    }
}

impl fmt::Display for CardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.card, self.device)
    }
}

impl FromStr for CardName {
    type Err = CardError;

    /// `Device` or `Device,0`.
    fn from_str(text: &str) -> Result<Self, CardError> {
        let (card, device) = text.split_once(',').unwrap_or((text, "0"));
        let device = device.parse().ok();
        device.and_then(|device| Self::new(card, device)).ok_or_else(|| {
            CardError(format!(
                "{text:?} is no card: allowed is its id and a device, as Device,0"
            ))
        })
    }
}

/// Why a card cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CardError(pub(crate) String);

/// A device that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the site file calls it.
    pub name: CardName,
    /// What its maker calls it.
    pub product: String,
    /// It has a microphone's side.
    pub capture: bool,
    /// It has a loudspeaker's side.
    pub playback: bool,
}

/// All devices of all cards.
#[must_use]
pub fn cards() -> Vec<Found> {
    let mut all = vec![];
    for card in alsa::card::Iter::new().flatten() {
        let Ok(control) = alsa::Ctl::from_card(&card, true) else {
            continue;
        };
        let Ok(info) = control.card_info() else { continue };
        let (id, product) = (info.get_id().unwrap_or_default(), card.get_name());
        for device in alsa::ctl::DeviceIter::new(&control) {
            let Ok(device) = u8::try_from(device) else {
                continue;
            };
            let has = |side| control.pcm_info(u32::from(device), 0, side).is_ok();
            let Some(name) = CardName::new(id, device) else {
                continue;
            };
            all.push(Found {
                name,
                product: product.clone().unwrap_or_default(),
                capture: has(Direction::Capture),
                playback: has(Direction::Playback),
            });
        }
    }
    all
}

/// One side of a device, set up and not started: 16 bit, one channel.
pub(crate) struct Side {
    pub(crate) pcm: PCM,
    /// Frames of 10 ms.
    pub(crate) period: usize,
    /// Samples a second.
    pub(crate) rate: u32,
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Capture => "microphone",
        Direction::Playback => "loudspeaker",
    }
}

/// What the system said, and what to do.
pub(crate) fn told(name: &CardName, direction: Direction, error: alsa::Error) -> CardError {
    let what = side(direction);
    let kind = std::io::Error::from_raw_os_error(error.errno().abs()).kind();
    let done = if kind == std::io::ErrorKind::ResourceBusy {
        "another program has it; `fuser -v /dev/snd/*` says which one, and a running gateway is one"
            .to_owned()
    } else if kind == std::io::ErrorKind::PermissionDenied {
        "this user may not use it: `usermod -aG audio doorline`, and start it anew".to_owned()
    } else if kind == std::io::ErrorKind::NotFound || error.errno().abs() == NO_DEVICE {
        format!("it was unplugged, or is not there; there are: {}", there())
    } else {
        error.to_string()
    };
    CardError(format!("sound card {name}, {what}: {done}"))
}

/// `ENODEV`.
const NO_DEVICE: i32 = 19;

fn there() -> String {
    let all: Vec<String> = cards().iter().map(|found| found.name.to_string()).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(" · ")
    }
}

impl Side {
    /// Opens it; one that somebody else has is refused at once.
    pub(crate) fn open(name: &CardName, direction: Direction) -> Result<Self, CardError> {
        // plughw converts formats and channels, and no rates
        let CardName { card, device } = name;
        let pcm = PCM::new(&format!("plughw:CARD={card},DEV={device}"), direction, true)
            .map_err(|error| told(name, direction, error))?;
        let rate = set_up(&pcm, direction).map_err(|error| told(name, direction, error))?;
        let Some(rate) = rate else {
            let what = side(direction);
            return Err(CardError(format!(
                "sound card {name}, {what}: it has no rate from 8000 to 96000 Hz that is taken"
            )));
        };
        Ok(Self {
            pcm,
            period: (rate / PERIODS) as usize,
            rate,
        })
    }
}

/// `None` if it has none of the rates.
fn set_up(pcm: &PCM, direction: Direction) -> Result<Option<u32>, alsa::Error> {
    let period = {
        let params = HwParams::any(pcm)?;
        params.set_rate_resample(false)?;
        params.set_access(Access::RWInterleaved)?;
        params.set_format(Format::s16())?;
        params.set_channels(1)?;
        let Some(rate) = RATES.into_iter().find(|rate| params.test_rate(*rate).is_ok()) else {
            return Ok(None);
        };
        params.set_rate(rate, ValueOr::Nearest)?;
        let period =
            params.set_period_size_near(alsa::pcm::Frames::from(rate / PERIODS), ValueOr::Nearest)?;
        // what a card cannot do exactly it does nearly
        params.set_buffer_size_near(4 * period)?;
        pcm.hw_params(&params)?;
        (period, rate)
    };
    let (period, rate) = period;
    let params = pcm.sw_params_current()?;
    params.set_avail_min(period)?;
    // a microphone begins with the first read, also after it was set up anew; a loudspeaker with something in hand
    params.set_start_threshold(match direction {
        Direction::Capture => 1,
        Direction::Playback => 2 * period,
    })?;
    pcm.sw_params(&params)?;
    pcm.prepare()?;
    Ok(Some(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_id_and_a_device_and_nothing_that_alsa_would_read_otherwise() {
        for (text, name) in [("Device", "Device,0"), ("Device_1,3", "Device_1,3")] {
            assert_eq!(text.parse::<CardName>().expect(text).to_string(), name);
        }
        for text in [
            "",
            "a b",
            "Device,32",
            "Device,-1",
            "hw:0",
            "Device,DEV=1",
            "sixteen-letters-",
        ] {
            assert!(text.parse::<CardName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_card_that_is_not_there_says_which_ones_are() {
        let name = CardName::new("Nobody", 0).expect("a name");
        let error = Side::open(&name, Direction::Capture).err().expect("no such card");
        let text = error.to_string();
        assert!(text.contains("Nobody,0") && text.contains("microphone"), "{text}");
        assert!(text.contains("there are:"), "{text}");
    }
}
