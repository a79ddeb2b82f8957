//! The adapter: a card as the voice of a line, as long as the card is there.

use adapter_api::{Adapter, AdapterContext, AdapterError};
use gateway_core::LineId;

use crate::card::CardName;
use crate::stream::Sound;

/// A card and the line whose voice it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundLine {
    /// The card.
    pub card: CardName,
    /// The line.
    pub line: LineId,
}

impl Adapter for SoundLine {
    /// A card that is unplugged, or that another program has, ends it; it is started again by whoever runs it. Calls are silent
    /// meanwhile.
    async fn run(self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        let device = self.card.to_string();
        let (mut sound, port) = Sound::start(&self.card).map_err(|error| AdapterError::Device {
            device: device.clone(),
            text: "no thread can be started for it".to_owned(),
            source: Some(error),
        })?;
        ctx.audio
            .send((self.line, port))
            .await
            .map_err(|_| AdapterError::Closed)?;
        let failed = tokio::select! {
            failed = sound.failed() => failed,
            () = ctx.shutdown.fired() => None,
        };
        let counts = sound.counts();
        tracing::debug!(%device, ?counts, "the sound ends");
        // the card is free for who comes next
        let _ = tokio::task::spawn_blocking(|| sound.end()).await;
        failed.map_or(Ok(()), |error| {
            Err(AdapterError::Device {
                device,
                text: error.to_string(),
                source: None,
            })
        })
    }
}
