//! The first bytes of a backup, and the key that they and the passphrase make.

use argon2::{Algorithm, Argon2, Params};
use gateway_core::Secret;
use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::{MAX_PASSPHRASE, MIN_PASSPHRASE};

/// Bytes of a header.
pub(crate) const LENGTH: usize = 76;
const MAGIC: &[u8; 16] = b"doorline backup\n";
const VERSION: u8 = 1;
/// Where the parts begin.
const COST: usize = 20;
const SALT: usize = 32;
const NONCE: usize = 48;
const CHECK: usize = 56;
const CRC: usize = 72;

/// What a guess of the passphrase costs: Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, 8 to 262144.
    pub memory_kib: u32,
    /// Passes over it, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 4.
    pub lanes: u32,
}

impl Cost {
    /// That of new backups: the second of the choices that RFC 9106 §4 recommends, for machines with little memory.
    pub const NEW: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    /// Refuses what a file of a stranger could use to take all memory or time.
    fn bounded(self) -> Result<Self, BackupError> {
        let fits = (8..=256 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=4).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes;
        if fits {
            return Ok(self);
        }
        Err(BackupError::Cost {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        })
    }
}

/// A header whose passphrase is known.
pub(crate) struct Header {
    pub(crate) bytes: [u8; LENGTH],
    pub(crate) key: LessSafeKey,
    /// The beginning of each nonce.
    pub(crate) nonce: [u8; 7],
}

impl Header {
    /// A new one, with salt and nonce that were never used.
    pub(crate) fn new(passphrase: &Secret, cost: Cost) -> Result<Self, BackupError> {
        let text = passphrase.reveal();
        let found = text.chars().count();
        if found < MIN_PASSPHRASE || text.len() > MAX_PASSPHRASE {
            return Err(BackupError::PassphraseLength { found });
        }
        let cost = cost.bounded()?;
        let mut bytes = [0; LENGTH];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16] = VERSION;
        for (at, number) in [cost.memory_kib, cost.passes, cost.lanes].into_iter().enumerate() {
            bytes[COST + 4 * at..COST + 4 * (at + 1)].copy_from_slice(&number.to_be_bytes());
        }
        let random = |part: &mut [u8]| getrandom::fill(part).map_err(|e| BackupError::Key(e.to_string()));
        random(&mut bytes[SALT..NONCE])?;
        random(&mut bytes[NONCE..NONCE + 7])?;
        let derived = derive(text, &bytes[SALT..NONCE], cost)?;
        bytes[CHECK..CRC].copy_from_slice(&derived[32..]);
        let crc = crc32c::crc32c(&bytes[..CRC]);
        bytes[CRC..].copy_from_slice(&crc.to_be_bytes());
        Ok(Self::of(bytes, &derived))
    }

    /// One that was read.
    pub(crate) fn read(bytes: [u8; LENGTH], passphrase: &Secret) -> Result<Self, BackupError> {
        if &bytes[..16] != MAGIC {
            return Err(BackupError::NotOne);
        }
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        // before the version: one that fell over is no other version
        if number(CRC) != crc32c::crc32c(&bytes[..CRC]) {
            return Err(BackupError::Header);
        }
        if bytes[16] != VERSION {
            let (found, known) = (bytes[16], VERSION);
            return Err(BackupError::Version { found, known });
        }
        let cost = Cost {
            memory_kib: number(COST),
            passes: number(COST + 4),
            lanes: number(COST + 8),
        }
        .bounded()?;
        let text = passphrase.reveal();
        if text.len() > MAX_PASSPHRASE {
            return Err(BackupError::Passphrase);
        }
        let derived = derive(text, &bytes[SALT..NONCE], cost)?;
        if !bool::from(derived[32..].ct_eq(&bytes[CHECK..CRC])) {
            return Err(BackupError::Passphrase);
        }
        Ok(Self::of(bytes, &derived))
    }

    fn of(bytes: [u8; LENGTH], derived: &[u8; 48]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derived[..32]).expect("32 bytes are a key");
        let mut nonce = [0; 7];
        nonce.copy_from_slice(&bytes[NONCE..NONCE + 7]);
        Self {
            bytes,
            key: LessSafeKey::new(key),
            nonce,
        }
    }

    /// The nonce of a chunk: it has its number, and whether it is the last.
    pub(crate) fn nonce(&self, chunk: u32, last: bool) -> ring::aead::Nonce {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.nonce);
        nonce[7..11].copy_from_slice(&chunk.to_be_bytes());
        nonce[11] = last.into();
        ring::aead::Nonce::assume_unique_for_key(nonce)
    }
}

/// 32 bytes of key, then 16 that tell a wrong passphrase from damage. Who guesses pays the same for either.
fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 48]>, BackupError> {
    let failed = |error: argon2::Error| BackupError::Key(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(48)).map_err(failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut derived = Zeroizing::new([0; 48]);
    argon2
        .hash_password_into(passphrase.as_bytes(), salt, derived.as_mut())
        .map_err(failed)?;
    Ok(derived)
}
