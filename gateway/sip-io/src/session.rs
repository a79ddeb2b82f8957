//! The media side of one leg: its offer/answer state and what it was told about its line.

use std::net::IpAddr;

use gateway_core::{LegId, LineId, Peer};
use gateway_media::{
    Agreed, AudioCodec, Capabilities, Direction, Engine, LocalMedia, OfferAnswer, PortPair, SdpError,
    SessionDescription, SrtpPolicy,
};
use rand::rngs::StdRng;

use crate::Srtp;

/// Why a leg has no media.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaFault {
    #[error(transparent)]
    Engine(#[from] gateway_media::EngineError),
    #[error("the leg has no media session")]
    NoSession,
    #[error(transparent)]
    Sdp(#[from] SdpError),
}

/// What is offered and taken in a call.
#[derive(Clone)]
pub(crate) struct MediaPolicy {
    /// Codecs, best first.
    pub(crate) codecs: Vec<AudioCodec>,
    pub(crate) srtp: Srtp,
}

/// Media of one leg.
pub(crate) struct Session {
    /// Answer or offer that waits for the call plan to answer the call.
    pub(crate) ready: Option<Vec<u8>>,
    pub(crate) line: LineId,
    pub(crate) offer_answer: Option<OfferAnswer>,
    /// The caller, for the moment of its ACK.
    pub(crate) peer: Option<Peer>,
    policy: MediaPolicy,
}

impl Session {
    pub(crate) const fn new(line: LineId, policy: MediaPolicy) -> Self {
        Self {
            ready: None,
            line,
            offer_answer: None,
            peer: None,
            policy,
        }
    }

    fn open(
        &mut self,
        engine: &Engine,
        leg: LegId,
        local: IpAddr,
        rng: &mut StdRng,
    ) -> Result<&mut OfferAnswer, MediaFault> {
        let ports: PortPair = engine.reserve_ports()?;
        let media = LocalMedia {
            address: local,
            rtp_port: ports.rtp_port(),
            rtcp_port: ports.rtcp_port(),
        };
        engine.open_leg(leg, ports)?;
        let capabilities = Capabilities {
            codecs: self.policy.codecs.clone(),
            srtp: match self.policy.srtp {
                Srtp::Off => SrtpPolicy::Off,
                Srtp::Optional => SrtpPolicy::Optional,
                Srtp::Required => SrtpPolicy::Required,
            },
            ..Capabilities::default()
        };
        Ok(self
            .offer_answer
            .insert(OfferAnswer::new(capabilities, media, rng)))
    }

    /// Opens ports and makes our first offer.
    pub(crate) fn first_offer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        local: IpAddr,
        rng: &mut StdRng,
    ) -> Result<Vec<u8>, MediaFault> {
        let offer = self
            .open(engine, leg, local, rng)?
            .offer(Direction::SendRecv, rng);
        Ok(offer.to_string().into_bytes())
    }

    /// Opens ports and answers the first offer of the other side, whose signalling comes from `remote`.
    pub(crate) fn first_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        (local, remote): (IpAddr, Option<IpAddr>),
        offer: &[u8],
        rng: &mut StdRng,
    ) -> Result<Vec<u8>, MediaFault> {
        let offer = SessionDescription::parse(offer)?;
        let (answer, mut agreed) =
            self.open(engine, leg, local, rng)?
                .handle_offer(&offer, Direction::SendRecv, rng)?;
        agreed.signalling = remote;
        engine.update_leg(leg, &agreed)?;
        Ok(answer.to_string().into_bytes())
    }

    /// A later offer of ours, in a 200 to an offerless re-INVITE.
    pub(crate) fn offer_again(&mut self, rng: &mut StdRng) -> Result<Vec<u8>, MediaFault> {
        let state = self.offer_answer.as_mut().ok_or(MediaFault::NoSession)?;
        Ok(state.offer(Direction::SendRecv, rng).to_string().into_bytes())
    }

    /// A later offer of theirs: hold, another codec, another address. The answer, and whether they hold the call.
    pub(crate) fn answer_again(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        offer: &[u8],
        rng: &mut StdRng,
    ) -> Result<(Vec<u8>, bool), MediaFault> {
        let state = self.offer_answer.as_mut().ok_or(MediaFault::NoSession)?;
        let offer = SessionDescription::parse(offer)?;
        let (answer, mut agreed) = state.handle_offer(&offer, Direction::SendRecv, rng)?;
        agreed.signalling = remote;
        engine.update_leg(leg, &agreed)?;
        Ok((answer.to_string().into_bytes(), agreed.held()))
    }

    /// The answer to an offer of ours.
    pub(crate) fn take_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        answer: &[u8],
    ) -> Result<Agreed, MediaFault> {
        let state = self.offer_answer.as_mut().ok_or(MediaFault::NoSession)?;
        let answer = SessionDescription::parse(answer)?;
        let mut agreed = state.handle_answer(&answer)?;
        agreed.signalling = remote;
        engine.update_leg(leg, &agreed)?;
        Ok(agreed)
    }

    /// An offer of ours was not answered: the old state stays.
    pub(crate) fn offer_refused(&mut self) {
        if let Some(state) = &mut self.offer_answer {
            state.offer_refused();
        }
    }
}
