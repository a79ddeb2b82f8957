//! A gateway in a process of its own, as `doorline run` makes it, with more cards than a site file may hold.
//!
//! People in such numbers are not kept in the site file, so they are put into the configuration in memory.

use std::path::Path;

use anyhow::Context;
use gateway_config::{Card, SecretFiles};
use gateway_core::{CredentialId, DoorId};

use crate::bench::site::card;
use crate::commands;
use crate::run::{Gateway, daemon};

/// Runs until SIGTERM.
pub(crate) async fn run(file: &Path, cards: usize) -> anyhow::Result<()> {
    let mut loaded = commands::loaded(file, SecretFiles::Needed)?;
    let there = loaded.config.cards.len();
    let door = DoorId::new("d0")?;
    for n in there..cards {
        let frame = gateway_site::card_frame(&card(n)).context("a card of the bench")?;
        let card = Card {
            card: frame,
            person: None,
            pin: None,
            doors: vec![door.clone()],
            schedule: gateway_site::When::Always,
            strike: None,
        };
        loaded
            .config
            .cards
            .insert(CredentialId::new(&format!("a{n}"))?, card);
    }
    let gateway = Gateway::start(file, loaded, None, None).await?;
    let served = gateway.serve_control();
    let ended = daemon::ended()?;
    tokio::select! {
        end = served => end?,
        () = ended => {}
    }
    gateway.stop().await;
    Ok(())
}
