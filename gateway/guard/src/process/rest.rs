//! Every board to rest once, when nobody is left to do it: gateway, guard and sentinel were killed together.
//!
//! A GPIO line is let go by the kernel then; a relay board that latches stays as it was written last, until
//! somebody writes to it. The supervisor starts this as the last act of a unit, before it starts the next guard.

use std::time::Duration;

use super::{GuardError, socket};
use crate::params::GuardParams;
use crate::sentinel::write_to_rest;

/// A guard that is just ending may need this long.
const WAIT: Duration = Duration::from_millis(300);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rested {
    /// A guard lives and holds the boards: it brings them to rest by its own rules, and was left alone.
    LeftToGuard,
    /// So many boards were written to rest.
    Written(usize),
}

/// Writes every board to rest, unless a guard lives. Takes some seconds if a board does not answer.
///
/// # Errors
/// [`GuardError::NotRested`] names the boards that did not answer.
pub fn rest_main(params: GuardParams) -> Result<Rested, GuardError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GuardError::Start)?;
    runtime.block_on(rest(params))
}

async fn rest(params: GuardParams) -> Result<Rested, GuardError> {
    // Held until the end: a guard that starts meanwhile waits for us.
    let _lock = match socket::lock_within(&params.socket, WAIT).await {
        Ok(lock) => Some(lock),
        Err(socket::SocketError::Held { .. }) => return Ok(Rested::LeftToGuard),
        Err(error) => {
            // Without its folder there is no guard that could hold it, and a relay is worse than a lock.
            tracing::warn!(%error, "the guard's lock cannot be taken; the boards are written to rest all the same");
            None
        }
    };
    let count = params.boards.len();
    let tasks: Vec<_> = params
        .boards
        .into_iter()
        .map(|board| (board.driver.device(), tokio::spawn(write_to_rest(board))))
        .collect();
    let mut devices = Vec::new();
    for (device, task) in tasks {
        if !task.await.unwrap_or(false) {
            devices.push(device);
        }
    }
    if devices.is_empty() {
        Ok(Rested::Written(count))
    } else {
        Err(GuardError::NotRested { devices })
    }
}
