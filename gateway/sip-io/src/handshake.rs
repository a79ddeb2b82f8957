//! The handshake of one leg: the association, and the keys that came of it.

use gateway_core::Instant;
use gateway_media::EngineError;
use gateway_media::dtls::{Association, DtlsError, Identity, Output};
use gateway_media::sdp::{DtlsPeer, SrtpKeys};

/// See the [module](self).
pub(crate) struct Handshake {
    association: Association,
    keys: Option<SrtpKeys>,
    peer: DtlsPeer,
}

impl Handshake {
    pub(crate) fn new(identity: &Identity, peer: &DtlsPeer, now: Instant) -> Result<Self, DtlsError> {
        Ok(Self {
            association: Association::new(identity, peer.active, &peer.fingerprints, now)?,
            keys: None,
            peer: peer.clone(),
        })
    }

    /// Whom it is with.
    pub(crate) const fn peer(&self) -> &DtlsPeer {
        &self.peer
    }

    /// The keys, once they are there.
    pub(crate) const fn keys(&self) -> Option<&SrtpKeys> {
        self.keys.as_ref()
    }

    pub(crate) fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.association.handle_packet(now, datagram);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// Sends what is to be sent, and keeps the keys; why there will be none, if so.
    pub(crate) fn go_on(
        &mut self,
        mut send: impl FnMut(Box<[u8]>) -> Result<(), EngineError>,
    ) -> Option<String> {
        let mut fault = None;
        while let Some(output) = self.association.poll_output() {
            match output {
                // what it means for the call is SIP's matter
                Output::Closed => {}
                Output::Failed(why) => fault = Some(why.to_string()),
                Output::Keys(keys) => self.keys = Some(keys),
                // if the engine takes none, it is as if it were lost: the association asks again
                Output::Send(datagram) => drop(send(datagram)),
            }
        }
        fault
    }
}
