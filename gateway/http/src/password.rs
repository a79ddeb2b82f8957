//! Passwords: Argon2id (RFC 9106) with 19 MiB, one at a time.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use gateway_core::Secret;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Memory in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Who may wait for the one that is being computed.
const WAITING: usize = 4;
/// Length of a new password in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;

/// Computes hashes one at a time: a crowd of logins takes neither memory nor processor from the doors.
#[derive(Debug)]
pub(crate) struct Hasher {
    line: Arc<Semaphore>,
    one: Arc<Semaphore>,
    /// One more place in the line, which no stranger takes.
    reserved: Arc<Semaphore>,
}

/// The turn of one login.
#[derive(Debug)]
pub(crate) struct Turn {
    _line: OwnedSemaphorePermit,
    _one: OwnedSemaphorePermit,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            line: Arc::new(Semaphore::new(WAITING + 1)),
            one: Arc::new(Semaphore::new(1)),
            reserved: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for its turn. Who is familiar finds a place in a full line.
    pub(crate) async fn turn(&self, familiar: bool) -> Result<Turn, Problem> {
        let place = self.line.clone().try_acquire_owned();
        let place = place.or_else(|full| match familiar {
            true => self.reserved.clone().try_acquire_owned(),
            false => Err(full),
        });
        let line = place.map_err(|_| busy())?;
        let one = self.one.clone().acquire_owned().await.map_err(|_| busy())?;
        Ok(Turn {
            _line: line,
            _one: one,
        })
    }
}

impl Turn {
    /// The PHC string of a new password.
    pub(crate) async fn hash(self, password: Secret) -> Result<String, Problem> {
        let length = password.reveal().chars().count();
        if !LENGTH.contains(&length) {
            return Err(Problem::bad(
                "password",
                format!("a password has 10 to 128 characters, this one has {length}"),
            ));
        }
        let salt = random::<16>()?;
        self.run(move || compute(password.reveal(), &salt)).await
    }

    /// True if the password fits. Without a hash (nobody of that name) it takes as long and is false.
    pub(crate) async fn verify(self, password: Secret, hash: Option<String>) -> Result<bool, Problem> {
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| nobody().to_owned());
            let fits = PasswordHash::new(&hash)
                .is_ok_and(|h| argon2().verify_password(password.reveal().as_bytes(), &h).is_ok());
            known && fits
        })
        .await
    }

    /// The turn lasts until the hash is computed, even if the one who asked has gone.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let work = move || {
            let result = work();
            drop(self);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| busy())
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "fault",
            format!("no random numbers: {error}"),
        )
    })?;
    Ok(bytes)
}

fn busy() -> Problem {
    let text = "too many logins at once; try again in a few seconds";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overload", text).later(3)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("constants within the limits of Argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn compute(password: &str, salt: &[u8; 16]) -> String {
    let salt = SaltString::encode_b64(salt).expect("16 bytes are a salt");
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    hash.expect("the password is short and the salt fits").to_string()
}

fn nobody() -> &'static str {
    static NOBODY: OnceLock<String> = OnceLock::new();
    NOBODY.get_or_init(|| compute("nobody", &[0; 16]))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_only() {
        let hasher = Hasher::new();
        let turn = || async { hasher.turn(false).await.expect("a turn") };
        let hash = turn()
            .await
            .hash(Secret::new("correct horse"))
            .await
            .expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (typed, hash, fits) in [
            ("correct horse", Some(hash.clone()), true),
            ("correct house", Some(hash), false),
            ("nobody", None, false),
            ("x", Some("not a hash".into()), false),
        ] {
            let result = turn().await.verify(Secret::new(typed), hash).await;
            assert_eq!(result, Ok(fits), "{typed}");
        }
        let short = turn()
            .await
            .hash(Secret::new("short"))
            .await
            .expect_err("refused");
        assert_eq!(
            short.detail,
            "a password has 10 to 128 characters, this one has 5"
        );
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let hasher = Hasher::new();
        let first = hasher.turn(false).await.expect("a turn");
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(hasher.turn(false))).collect();
        for turn in &mut waiting {
            assert!(turn.now_or_never().is_none());
        }
        assert_eq!(hasher.turn(false).await.expect_err("full").status.as_u16(), 503);
        let mut familiar = Box::pin(hasher.turn(true));
        assert!((&mut familiar).now_or_never().is_none(), "one place is left");
        assert_eq!(hasher.turn(true).await.expect_err("full").status.as_u16(), 503);
        drop(first);
        assert!((&mut waiting[0]).now_or_never().is_some());
    }
}
