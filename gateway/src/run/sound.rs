//! Sound cards of lines. A program that was built without them says so where one is asked for.

use std::collections::BTreeMap;

use gateway_config::{Config, LineSound};

#[cfg(feature = "sound-cards")]
pub(crate) use adapter_alsa::SoundLine;
#[cfg(not(feature = "sound-cards"))]
pub(crate) use without::SoundLine;

/// The card of each line that has one, by the name of its adapter.
pub(crate) fn sounds(config: &Config) -> BTreeMap<String, SoundLine> {
    let lines = config.lines.iter();
    let with = lines.filter_map(|(id, line)| Some((id, line.sound.as_ref()?)));
    with.filter_map(|(id, sound)| Some((format!("sound-{id}"), of(id.clone(), sound)?)))
        .collect()
}

#[cfg(feature = "sound-cards")]
fn of(line: gateway_core::LineId, sound: &LineSound) -> Option<SoundLine> {
    let card = adapter_alsa::CardName::new(sound.card.as_str(), sound.device)?;
    Some(SoundLine { card, line })
}

#[cfg(not(feature = "sound-cards"))]
fn of(_: gateway_core::LineId, sound: &LineSound) -> Option<SoundLine> {
    Some(SoundLine {
        card: sound.card.to_string(),
    })
}

#[cfg(not(feature = "sound-cards"))]
mod without {
    use adapter_api::{Adapter, AdapterContext, AdapterError};

    /// A card that cannot be used.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct SoundLine {
        pub(super) card: String,
    }

    impl Adapter for SoundLine {
        async fn run(self, _: AdapterContext) -> Result<(), AdapterError> {
            Err(AdapterError::Device {
                device: self.card,
                text: "this program was built without sound cards: build it with the feature sound-cards"
                    .to_owned(),
                source: None,
            })
        }
    }
}
