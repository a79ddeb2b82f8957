//! Which audio line of an offer is answered, and how its media is protected.

use super::dtls::{Handshake, Setup};
use super::formats::Formats;
use super::profile::{is_dtls, is_rtp, is_secure};
use super::{CryptoAttribute, OfferAnswer, SdpError, SessionDescription, SrtpKeying, SrtpPolicy};

/// How the keys of a chosen line come.
#[derive(Debug)]
pub(super) enum Chosen {
    Dtls(Handshake),
    Plain,
    Sdes(CryptoAttribute),
}

impl OfferAnswer {
    /// The first audio line that policy allows; encrypted ones first. In a re-offer the position stays.
    pub(super) fn choose(&self, offer: &SessionDescription) -> Result<(usize, Chosen), SdpError> {
        let policy = self.capabilities.srtp;
        let mut refusal = None;
        let mut plain = None;
        for (index, line) in offer.media.iter().enumerate() {
            if line.kind != "audio" || line.port == 0 {
                continue;
            }
            let common = Formats::read(line)
                .codecs
                .iter()
                .any(|(_, c)| self.capabilities.codecs.contains(c));
            if !is_rtp(&line.transport) || !common {
                refusal.get_or_insert_with(|| self.no_common(line));
                continue;
            }
            // the offerer's order counts (RFC 4568 §5.1.1)
            let mut offered = line.values("crypto").filter_map(CryptoAttribute::parse);
            let best = offered.find(|c| self.capabilities.suites.contains(&c.suite));
            // keys in clear go with neither the profile of DTLS nor a policy without them
            let keyed = self.capabilities.keying == SrtpKeying::Sdes && !is_dtls(&line.transport);
            let best = best.filter(|_| keyed).map(Chosen::Sdes);
            let best = best.or_else(|| {
                self.capabilities.fingerprint.as_ref()?;
                Handshake::read(offer, line, Setup::Active).map(Chosen::Dtls)
            });
            let secure = is_secure(&line.transport);
            match (policy, best, secure) {
                (SrtpPolicy::Optional | SrtpPolicy::Required, Some(chosen), _) => return Ok((index, chosen)),
                (SrtpPolicy::Off, _, true) => {
                    let offered = "requires it";
                    refusal.get_or_insert(SdpError::Encryption { policy, offered });
                }
                (SrtpPolicy::Optional | SrtpPolicy::Required, None, true) => {
                    let offered = if is_dtls(&line.transport) {
                        "has no fingerprint that counts"
                    } else if self.capabilities.keying == SrtpKeying::Dtls {
                        "would send keys in clear (SDES), no fingerprint for DTLS"
                    } else {
                        "has no suite of ours"
                    };
                    refusal.get_or_insert(SdpError::Encryption { policy, offered });
                }
                (SrtpPolicy::Required, None, false) => {
                    let offered = "offers plain RTP";
                    refusal.get_or_insert(SdpError::Encryption { policy, offered });
                }
                (SrtpPolicy::Off, _, false) | (SrtpPolicy::Optional, None, false) => {
                    plain.get_or_insert(index);
                }
            }
        }
        if let Some(index) = plain {
            return Ok((index, Chosen::Plain));
        }
        Err(refusal.unwrap_or_else(|| SdpError::NoCommonAudio {
            wanted: self.wanted(),
            found: "no audio line".into(),
        }))
    }
}
