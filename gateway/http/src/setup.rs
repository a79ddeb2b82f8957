//! The one-time code with which the first user is made.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use gateway_core::{Instant, Secret};
use gateway_store::Store;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::people;

/// How long a code is good.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// What is said when users were there and are not any more.
pub(crate) const LOST: &str = "there were users of the page and their records are lost; nobody can be set up over the \
    network. On the gateway itself, remove the file that says so and start the gateway again: it then shows a new \
    setup code";
/// Without the letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Notes on the disk that there is a user, beside the journal and not in it: whatever happens to the records of
/// users, a gateway that had some never offers set-up to the network again by itself.
pub fn note_users(mark: &Path) {
    if mark.exists() {
        return;
    }
    let made = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(mark)
        .and_then(|file| file.sync_all());
    if let Err(error) = made {
        tracing::error!(%error, mark = %mark.display(), "it could not be noted that there are users");
    }
}

/// Removes every user and API token, and the note that there were some: the next start of the page has a setup code. To be
/// called while it does not run. Says how many there were.
///
/// # Errors
/// In words, if they could not be removed durably; the note is then still there.
pub async fn forget_users(store: &Store, mark: &Path) -> Result<usize, String> {
    let count = people::forget(store.records()).await?;
    match std::fs::remove_file(mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {error}", mark.display()))
        }
        Ok(()) | Err(_) => Ok(count),
    }
}

/// The code: 12 characters of 5 bits each, shown as `XXXX-XXXX-XXXX`.
#[derive(Debug)]
pub(crate) struct Setup {
    code: Secret,
    made: Instant,
}

impl Setup {
    pub(crate) fn new(now: Instant, random: [u8; 12]) -> Self {
        let letters: Vec<_> = random
            .iter()
            .map(|b| char::from(ALPHABET[usize::from(b % 32)]))
            .collect();
        let groups: Vec<String> = letters.chunks(4).map(|c| c.iter().collect()).collect();
        Self {
            code: Secret::new(groups.join("-")),
            made: now,
        }
    }

    /// The code, while it is good.
    pub(crate) fn code(&self, now: Instant) -> Option<&str> {
        (now.since(self.made) < LIFE).then(|| self.code.reveal())
    }

    /// True if `typed` is the code; case, spaces and hyphens do not matter.
    pub(crate) fn fits(&self, now: Instant, typed: &str) -> bool {
        let Some(code) = self.code(now) else {
            return false;
        };
        // Digests have one length, so that the comparison tells nothing about it.
        bool::from(digest(code).ct_eq(&digest(typed)))
    }
}

fn digest(text: &str) -> [u8; 32] {
    let plain: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    Sha256::digest(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_as_people_type_it_and_expires_after_a_day() {
        let t0 = Instant::from_nanos(5_000_000_000);
        let setup = Setup::new(t0, [0, 1, 2, 3, 4, 5, 6, 7, 255, 31, 32, 33]);
        assert_eq!(setup.code(t0), Some("ABCD-EFGH-99AB"));
        for (typed, fits) in [
            ("ABCD-EFGH-99AB", true),
            ("abcd efgh 99ab", true),
            ("abcdefgh99ab", true),
            ("ABCD-EFGH-99A", false),
            ("", false),
        ] {
            assert_eq!(setup.fits(t0, typed), fits, "{typed:?}");
        }
        assert_eq!(setup.code(t0 + LIFE), None);
        assert!(!setup.fits(t0 + LIFE, "ABCD-EFGH-99AB"));
        assert!(!format!("{setup:?}").contains("ABCD"));
    }
}
