//! One association: a handshake, and what is left of it afterwards. Pure: datagrams and times in, datagrams and keys out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dimpl::{Config, Dtls, DtlsCertificate, SrtpProfile};
use gateway_core::Instant;

use super::{Fingerprint, Identity, crypto};
use crate::sdp::{MasterKey, SrtpKeys, SrtpSuite};

/// A handshake that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// First wait for an answer before it is asked again; doubled each time. Media waits for it, so it is shorter than the
/// second of RFC 6347 §4.2.4.1.
const AGAIN: Duration = Duration::from_millis(400);
/// Largest datagram that is sent; larger flights are cut into records.
const MTU: usize = 1_200;
/// Room for the largest thing that comes out: a record, or a certificate.
const ROOM: usize = 16 * 1024;
/// Longest datagram that is looked at.
const LONGEST: usize = 4_096;

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsError {
    /// The other side's certificate is another one than its session description says.
    #[error("the certificate of the other side is not the one of its session description")]
    Fingerprint,
    /// The other side refuses, sends what does not fit, or has nothing in common with us.
    #[error("the DTLS handshake failed: {0}")]
    Handshake(String),
    /// No certificate of our own.
    #[error("no certificate for DTLS can be made: {0}")]
    Identity(String),
    /// Nothing common to protect media with.
    #[error("the DTLS handshake ended without a protection profile for SRTP")]
    NoProfile,
    /// Nobody answers.
    #[error("no DTLS handshake within {} s", PATIENCE.as_secs())]
    Timeout,
}

/// What comes out of an association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The other side has said goodbye: no more media.
    Closed,
    /// It is over; no keys will come, or come again.
    Failed(DtlsError),
    /// Keys for both directions.
    Keys(SrtpKeys),
    /// A datagram for the other side, from the port of RTP.
    Send(Box<[u8]>),
}

/// A handshake with one other side, and the keys that come of it.
pub struct Association {
    active: bool,
    /// Times of the library begin here.
    base: std::time::Instant,
    began: Instant,
    /// The handshake is over.
    connected: bool,
    dtls: Dtls,
    expected: Vec<Fingerprint>,
    keyed: bool,
    out: VecDeque<Output>,
    over: bool,
    timeout: Option<Instant>,
    verified: bool,
}

impl std::fmt::Debug for Association {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Association")
            .field("active", &self.active)
            .field("keyed", &self.keyed)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Association {
    /// Begins one: as the client if `active` (RFC 4145, `setup:active`), else it waits to be asked. One of `expected` is
    /// the fingerprint of the other side's certificate.
    ///
    /// # Errors
    /// [`DtlsError::Handshake`] if the library takes our parameters for wrong.
    pub fn new(
        identity: &Identity,
        active: bool,
        expected: &[Fingerprint],
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let config = Config::builder()
            .mtu(MTU)
            .flight_start_rto(AGAIN)
            .flight_retries(6)
            .handshake_timeout(PATIENCE)
            // the source was looked at before: whoever answers has been told where by the signalling
            .use_server_cookie(false)
            .require_client_certificate(true)
            .with_crypto_provider(crypto::provider())
            .build()
            .map_err(|e| DtlsError::Handshake(e.to_string()))?;
        let certificate = DtlsCertificate {
            certificate: identity.certificate.clone(),
            private_key: identity.private_key.clone(),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the library takes this type, which has no other origin; only what we add to it counts"
        )]
        let base = std::time::Instant::now();
        let mut dtls = Dtls::new_12(Arc::new(config), certificate, base);
        if active {
            dtls.set_active(true);
        }
        let mut association = Self {
            active,
            base,
            began: now,
            connected: false,
            dtls,
            expected: expected.to_vec(),
            keyed: false,
            out: VecDeque::new(),
            over: false,
            timeout: None,
            verified: false,
        };
        association.step(now, None);
        Ok(association)
    }

    /// A datagram came.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if packet.len() <= LONGEST {
            self.step(now, Some(packet));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.keyed || now.since(self.began) < PATIENCE {
            self.step(now, None);
        } else {
            self.fail(DtlsError::Timeout);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let end = (!self.over && !self.keyed).then(|| self.began + PATIENCE);
        let next = self.timeout.filter(|_| !self.over);
        next.into_iter().chain(end).min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Without keys there will be none; with keys, whatever somebody sends to the port, media goes on.
    fn fail(&mut self, why: DtlsError) {
        if !self.over && !self.keyed {
            self.out.push_back(Output::Failed(why));
        }
        self.over = true;
    }

    /// One step of the library, guarded: a panic in it costs the association.
    fn step(&mut self, now: Instant, packet: Option<&[u8]>) {
        if self.over {
            return;
        }
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            self.dtls.handle_timeout(self.base + now.since(self.began))?;
            if let Some(packet) = packet {
                self.dtls.handle_packet(packet)?;
            }
            Ok::<_, dimpl::Error>(())
        }));
        match stepped {
            Ok(Ok(())) => {}
            // what is damaged or a stranger's is passed over by the library itself
            Ok(Err(dimpl::Error::Timeout(_))) => self.fail(DtlsError::Timeout),
            Ok(Err(e)) => self.fail(DtlsError::Handshake(e.to_string())),
            Err(_) => self.fail(DtlsError::Handshake("the library gave up".into())),
        }
        let drained = catch_unwind(AssertUnwindSafe(|| self.drain()));
        if drained.is_err() {
            self.fail(DtlsError::Handshake("the library gave up".into()));
        }
    }

    /// Takes what the library has to say.
    fn drain(&mut self) {
        let mut room = vec![0; ROOM];
        while !self.over {
            match self.dtls.poll_output(&mut room) {
                dimpl::Output::Packet(packet) => self.out.push_back(Output::Send(packet.into())),
                dimpl::Output::Timeout(at) => {
                    let after = at.saturating_duration_since(self.base);
                    self.timeout = Some(self.began + after.min(PATIENCE * 1_000));
                    if self.connected && !self.keyed {
                        self.fail(DtlsError::NoProfile);
                    }
                    return;
                }
                dimpl::Output::PeerCert(certificate) => {
                    self.verified = self.expected.iter().any(|f| f.is_of(certificate));
                    if !self.verified {
                        self.fail(DtlsError::Fingerprint);
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    match keys(&material, profile, self.active).filter(|_| self.verified) {
                        Some(keys) => {
                            self.keyed = true;
                            self.out.push_back(Output::Keys(keys));
                        }
                        None => self.fail(DtlsError::NoProfile),
                    }
                }
                dimpl::Output::CloseNotify => {
                    self.over = true;
                    self.out.push_back(Output::Closed);
                }
                dimpl::Output::BufferTooSmall { .. } => {
                    self.fail(DtlsError::Handshake("a record is too long".into()));
                }
                // the keys come with the end of the handshake, or never: the other side knows no protection that we do (RFC 5764 §4.1)
                dimpl::Output::Connected => self.connected = true,
                // nothing is said over it, and no kind that is to come is known here
                dimpl::Output::ApplicationData(_) | _ => {}
            }
        }
    }
}

/// Cuts the exported bytes: both keys, then both salts, the client's first (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile, active: bool) -> Option<SrtpKeys> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => SrtpSuite::AesCm128Sha1_80,
        SrtpProfile::AEAD_AES_128_GCM => SrtpSuite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => SrtpSuite::AeadAes256Gcm,
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_len())?;
    let of = |second: bool| {
        let cut = |both: &[u8], length: usize| {
            let from = usize::from(second) * length;
            both.get(from..from + length).map(<[u8]>::to_vec)
        };
        let bytes = [cut(keys, suite.key_len())?, cut(salts, suite.salt_len())?].concat();
        MasterKey::new(suite, &bytes, 0)
    };
    Some(SrtpKeys {
        suite,
        local: of(!active)?,
        remote: of(active)?,
    })
}
