//! Boards that this process is connected with: one board under two names would be two boards, each of which puts the relays of
//! the other one to rest, or opens what it does not know as a door.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By address, the name by which a board is connected, and how often.
static CONNECTED: Mutex<BTreeMap<SocketAddr, (String, usize)>> = Mutex::new(BTreeMap::new());

fn connected() -> MutexGuard<'static, BTreeMap<SocketAddr, (String, usize)>> {
    CONNECTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A board is connected under a name until this is dropped.
pub(crate) struct Taken(SocketAddr);

impl Taken {
    /// Takes the board at `address` under `name`.
    ///
    /// # Errors
    /// The other name by which it is connected.
    pub(crate) fn take(address: SocketAddr, name: &str) -> Result<Self, String> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let mut connected = connected();
        let (known, times) = connected.entry(address).or_insert_with(|| (name.to_owned(), 0));
        if known != name {
            return Err(known.clone());
        }
        *times += 1;
        Ok(Self(address))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut connected = connected();
        if let Some((_, times)) = connected.get_mut(&self.0) {
            *times -= 1;
            if *times == 0 {
                connected.remove(&self.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_has_one_name_at_a_time() {
        let address: SocketAddr = "192.0.2.7:502".parse().expect("an address");
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:502".parse().expect("an address");
        let first = Taken::take(address, "192.0.2.7:502").expect("free");
        let again = Taken::take(mapped, "192.0.2.7:502").expect("by the same name");
        assert_eq!(
            Taken::take(mapped, "board:502").err().as_deref(),
            Some("192.0.2.7:502")
        );
        drop(first);
        assert!(Taken::take(address, "board:502").is_err());
        drop(again);
        let other = Taken::take(address, "board:502").expect("free again");
        assert!(Taken::take(address, "192.0.2.7:502").is_err());
        assert!(Taken::take("192.0.2.7:503".parse().expect("an address"), "x").is_ok());
        drop(other);
    }
}
