//! A guard round `webrtc-srtp` (RFC 3711, RFC 7714): lengths are checked before it sees a packet, a panic
//! inside it costs the packet, and its per-SSRC state cannot be grown by strangers.
//!
//! One sender and one receiver per key. A sender's first sequence number has to be below 2^15, so that the
//! roll-over counter of both sides agrees (RFC 3711 §3.3.1).

mod replay;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_no_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

use crate::rtp;
use crate::sdp::{MasterKey, SrtpSuite};
use replay::Replay;

/// Authenticated SSRCs of one key: the first and a few re-latches (a transfer, a restarted phone).
const MAX_SSRCS: usize = 8;
/// Unknown SSRCs tried on one probing context before it is made anew.
const MAX_PROBES: usize = 32;

/// Why a packet was not protected or unprotected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrtpError {
    /// Not authentic, replayed, or otherwise refused by the cipher.
    #[error("packet refused: {0}")]
    Cipher(String),
    /// Key or salt do not fit the suite.
    #[error("key does not fit {suite:?}")]
    Key {
        /// The suite.
        suite: SrtpSuite,
    },
    /// Not RTP or RTCP.
    #[error("not an RTP or RTCP packet")]
    Malformed,
    /// The cipher panicked; the packet is lost, the context is made anew for unknown SSRCs.
    #[error("the cipher panicked on a packet of {0} bytes")]
    Panicked(usize),
    /// An RTP packet that was taken already, or is too old to tell.
    #[error("packet {sequence} of {ssrc:#010x} is a repetition")]
    Replayed {
        /// Whose.
        ssrc: u32,
        /// Its number.
        sequence: u16,
    },
    /// Shorter than header, tag and index.
    #[error("packet of {found} bytes, at least {expected} expected")]
    TooShort {
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// More sources than one key may serve.
    #[error("more than {MAX_SSRCS} sources under one key")]
    TooManySources,
}

fn profile(suite: SrtpSuite) -> ProtectionProfile {
    match suite {
        SrtpSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        SrtpSuite::AesCm128Sha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        SrtpSuite::AesCm128Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        SrtpSuite::AesCm256Sha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        SrtpSuite::AesCm256Sha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
    }
}

fn context(suite: SrtpSuite, key: &MasterKey) -> Result<Context, SrtpError> {
    let made = catch_unwind(|| {
        Context::new(
            key.key(),
            key.salt(),
            profile(suite),
            // `Unprotect` has its own list
            Some(srtp_no_replay_protection()),
            Some(srtcp_replay_protection(replay::WINDOW.into())),
        )
    });
    match made {
        Ok(Ok(c)) => Ok(c),
        Ok(Err(_)) | Err(_) => Err(SrtpError::Key { suite }),
    }
}

fn guarded<F>(len: usize, f: F) -> Result<Bytes, SrtpError>
where
    F: FnOnce() -> Result<Bytes, webrtc_srtp::Error>,
{
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(e)) => Err(SrtpError::Cipher(e.to_string())),
        Err(_) => Err(SrtpError::Panicked(len)),
    }
}

/// Encrypts one direction.
pub struct Protect {
    context: Context,
    suite: SrtpSuite,
    key: MasterKey,
}

impl std::fmt::Debug for Protect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protect")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl Protect {
    /// For one key.
    ///
    /// # Errors
    /// [`SrtpError::Key`] if the key does not fit the suite.
    pub fn new(suite: SrtpSuite, key: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            context: context(suite, key)?,
            suite,
            key: key.clone(),
        })
    }

    /// Is it of this key?
    #[must_use]
    pub fn is_of(&self, suite: SrtpSuite, key: &MasterKey) -> bool {
        self.suite == suite && self.key == *key
    }

    /// Encrypts an RTP packet of ours.
    ///
    /// # Errors
    /// [`SrtpError`] if the cipher refuses it, for example after 2^48 packets.
    pub fn rtp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        guarded(packet.len(), || self.context.encrypt_rtp(packet))
    }

    /// Encrypts a compound RTCP packet of ours.
    ///
    /// # Errors
    /// [`SrtpError`] if the cipher refuses it.
    pub fn rtcp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        guarded(packet.len(), || self.context.encrypt_rtcp(packet))
    }
}

/// Decrypts one direction.
///
/// The cipher makes state for an SSRC before it has authenticated the packet. So an unknown SSRC is tried on a
/// second context of the same key, which is thrown away after 32 of them; only what is authentic there gets
/// into the lasting context, and at most 8 do.
pub struct Unprotect {
    context: Context,
    probe: Context,
    probed: usize,
    rtp_sources: Vec<(u32, Replay)>,
    rtcp_sources: Vec<u32>,
    suite: SrtpSuite,
    key: MasterKey,
    plain: Vec<u8>,
}

impl std::fmt::Debug for Unprotect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unprotect")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl Unprotect {
    /// For one key.
    ///
    /// # Errors
    /// [`SrtpError::Key`] if the key does not fit the suite.
    pub fn new(suite: SrtpSuite, key: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            context: context(suite, key)?,
            probe: context(suite, key)?,
            probed: 0,
            rtp_sources: Vec::with_capacity(MAX_SSRCS),
            rtcp_sources: Vec::with_capacity(MAX_SSRCS),
            suite,
            key: key.clone(),
            plain: Vec::with_capacity(2_048),
        })
    }

    /// Is it of this key?
    #[must_use]
    pub fn is_of(&self, suite: SrtpSuite, key: &MasterKey) -> bool {
        self.suite == suite && self.key == *key
    }

    /// Decrypts an RTP packet.
    ///
    /// # Errors
    /// [`SrtpError`] if it is malformed, too short, not authentic, replayed, or of a ninth source.
    pub fn rtp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        let tag = self.suite.rtp_tag_len();
        let needed = rtp::HEADER_LEN + tag + self.key.mki_len;
        if packet.len() < needed {
            return Err(SrtpError::TooShort {
                found: packet.len(),
                expected: needed,
            });
        }
        // The padding bit is honoured only after decryption: its count is encrypted.
        let (header, header_len) = rtp::Header::read(packet).map_err(|_| SrtpError::Malformed)?;
        if packet.len() < header_len + tag + self.key.mki_len {
            return Err(SrtpError::TooShort {
                found: packet.len(),
                expected: header_len + tag + self.key.mki_len,
            });
        }
        if !elements_fit(packet) {
            return Err(SrtpError::Malformed);
        }
        let trailer = if self.suite.is_aead() { 0 } else { tag };
        let Self {
            context,
            probe,
            plain,
            rtp_sources,
            key,
            ..
        } = self;
        let packet = without_mki(packet, key.mki_len, trailer, plain);
        if let Some((_, replay)) = rtp_sources.iter_mut().find(|(ssrc, _)| *ssrc == header.ssrc) {
            if !replay.allows(header.sequence) {
                return Err(SrtpError::Replayed {
                    ssrc: header.ssrc,
                    sequence: header.sequence,
                });
            }
            let opened = guarded(packet.len(), || context.decrypt_rtp(packet))?;
            replay.take(header.sequence);
            return Ok(opened);
        }
        let tried = guarded(packet.len(), || probe.decrypt_rtp(packet));
        let result = match tried {
            Err(e) => Err(e),
            Ok(_) if rtp_sources.len() == MAX_SSRCS => Err(SrtpError::TooManySources),
            Ok(_) => {
                let mut replay = Replay::default();
                replay.take(header.sequence);
                rtp_sources.push((header.ssrc, replay));
                guarded(packet.len(), || context.decrypt_rtp(packet))
            }
        };
        self.count_probe();
        result
    }

    /// Decrypts a compound RTCP packet.
    ///
    /// # Errors
    /// [`SrtpError`] if it is malformed, too short, not authentic, replayed, or of a ninth source.
    pub fn rtcp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        // Header and SSRC, E-flag with index, tag: without this check the cipher slices out of bounds.
        let needed = 8 + 4 + self.suite.rtcp_tag_len() + self.key.mki_len;
        if packet.len() < needed {
            return Err(SrtpError::TooShort {
                found: packet.len(),
                expected: needed,
            });
        }
        if packet[0] >> 6 != 2 {
            return Err(SrtpError::Malformed);
        }
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let trailer = if self.suite.is_aead() {
            0
        } else {
            self.suite.rtcp_tag_len()
        };
        let Self {
            context,
            probe,
            plain,
            rtcp_sources,
            key,
            ..
        } = self;
        let packet = without_mki(packet, key.mki_len, trailer, plain);
        if rtcp_sources.contains(&ssrc) {
            return guarded(packet.len(), || context.decrypt_rtcp(packet));
        }
        let tried = guarded(packet.len(), || probe.decrypt_rtcp(packet));
        let result = match tried {
            Err(e) => Err(e),
            Ok(_) if rtcp_sources.len() == MAX_SSRCS => Err(SrtpError::TooManySources),
            Ok(_) => {
                rtcp_sources.push(ssrc);
                guarded(packet.len(), || context.decrypt_rtcp(packet))
            }
        };
        self.count_probe();
        result
    }

    fn count_probe(&mut self) {
        self.probed += 1;
        if self.probed >= MAX_PROBES
            && let Ok(fresh) = context(self.suite, &self.key)
        {
            self.probe = fresh;
            self.probed = 0;
        }
    }
}

/// Do the elements of a header extension (RFC 8285 §4.2, §4.3) end where it ends? The cipher reads them before it has
/// authenticated anything, and reads on behind the packet where they say so. What follows the reserved number 15 it does
/// not count, and then takes the wrong place for the payload's begin. `packet` has a complete header.
fn elements_fit(packet: &[u8]) -> bool {
    if packet[0] & 0x10 == 0 {
        return true;
    }
    let at = rtp::HEADER_LEN + 4 * usize::from(packet[0] & 0x0f);
    let [p0, p1, l0, l1] = [packet[at], packet[at + 1], packet[at + 2], packet[at + 3]];
    let profile = u16::from_be_bytes([p0, p1]);
    let long = match profile {
        0xbede => false,
        0x1000 => true,
        _ => return true,
    };
    let end = 4 * usize::from(u16::from_be_bytes([l0, l1]));
    let Some(mut rest) = packet[at + 4..].get(..end) else {
        return false;
    };
    while let [first, others @ ..] = rest {
        let skip = match others {
            _ if *first == 0 => 0,
            _ if !long && first >> 4 == 15 => return false,
            _ if !long => usize::from(first & 0x0f) + 1,
            [len, ..] => usize::from(*len) + 1,
            [] => return false,
        };
        let Some(next) = others.get(skip..) else {
            return false;
        };
        rest = next;
    }
    true
}

/// The cipher knows no MKI (RFC 3711 §3.1): it is cut out, `trailer` bytes before the end.
fn without_mki<'a>(packet: &'a [u8], mki: usize, trailer: usize, plain: &'a mut Vec<u8>) -> &'a [u8] {
    if mki == 0 {
        return packet;
    }
    let end = packet.len() - trailer;
    plain.clear();
    plain.extend_from_slice(&packet[..end - mki]);
    plain.extend_from_slice(&packet[end..]);
    plain
}

#[cfg(test)]
mod tests;
