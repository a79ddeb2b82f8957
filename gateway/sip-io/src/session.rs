//! The media side of one leg: its offer/answer state and what it was told about its line.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gateway_core::{Instant, LegId, LineId, Peer};
use gateway_media::dtls::Identity;
use gateway_media::ice::Side;
use gateway_media::{
    Agreed, AudioCodec, Capabilities, Direction, Engine, LocalMedia, OfferAnswer, PortPair, SdpError, Seen,
    SessionDescription, SrtpKeying, SrtpPolicy,
};
use rand::rngs::StdRng;

use crate::handshake::Handshake;
use crate::keys_out::KeysOut;
use crate::outside::is_far;
use crate::{Ice, Srtp, SrtpKeys};

/// Why a leg has no media.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaFault {
    #[error(transparent)]
    Dtls(#[from] gateway_media::dtls::DtlsError),
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
    pub(crate) keys: SrtpKeys,
    pub(crate) ice: Ice,
    /// Media goes where it comes from.
    pub(crate) symmetric: bool,
    /// While nobody speaks next to nothing is sent.
    pub(crate) silences: bool,
    /// The profile of feedback is offered.
    pub(crate) feedback: bool,
    /// Our certificate for handshakes; none where media is never encrypted.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// Where media of a leg is.
pub(crate) struct Place {
    /// Its ports; others may see them elsewhere.
    pub(crate) ports: PortPair,
    /// Our own address.
    pub(crate) local: IpAddr,
    /// Where the other side reaches us, if that is elsewhere.
    pub(crate) public: Option<IpAddr>,
    /// Where its signalling comes from.
    pub(crate) remote: Option<IpAddr>,
}

impl Place {
    /// What is told of it. Whoever is far is told the public address, with the ports that a STUN server sees there, else
    /// with our own; whoever is near is told our own, and the others as candidates beside it.
    fn media(&self) -> LocalMedia {
        let own =
            [self.ports.rtp_port(), self.ports.rtcp_port()].map(|port| SocketAddr::new(self.local, port));
        // a router has addresses of one family only, and a server on our side of it says nothing of use to others
        let same = |seen: &&Seen| seen.rtp.is_ipv4() == self.local.is_ipv4() && is_far(seen.rtp.ip());
        let seen = self.ports.seen().filter(same);
        let [rtp, rtcp] = match (self.public, seen) {
            (Some(_), Some(seen)) => [seen.rtp, seen.rtcp],
            (Some(public), None) => own.map(|own| SocketAddr::new(public, own.port())),
            (None, _) => own,
        };
        LocalMedia {
            address: rtp.ip(),
            host: Some(own),
            rtp_port: rtp.port(),
            rtcp_port: rtcp.port(),
            seen: seen.map(|seen| [seen.rtp, seen.rtcp]),
        }
    }
}

/// Media of one leg.
pub(crate) struct Session {
    /// Answer or offer that waits for the call plan to answer the call.
    pub(crate) ready: Option<Vec<u8>>,
    pub(crate) line: LineId,
    pub(crate) offer_answer: Option<OfferAnswer>,
    /// Of those who have not answered the call and have made offers, by dialog; the user agent knows no more than eight.
    early_dialogs: BTreeMap<String, OfferAnswer>,
    /// The caller, for the moment of its ACK.
    pub(crate) peer: Option<Peer>,
    /// Why the call ends, where that is media's fault.
    pub(crate) fault: Option<String>,
    /// Our description has gone to the other side, so the handshake may begin.
    pub(crate) begins: bool,
    /// Keys that are pressed once it is answered.
    pub(crate) keys: Option<KeysOut>,
    /// That it is, has been acted on.
    told: bool,
    /// Nobody has answered.
    early: bool,
    /// What is agreed, with the keys that are there.
    agreed: Option<Agreed>,
    handshake: Option<Handshake>,
    policy: MediaPolicy,
}

impl Session {
    pub(crate) const fn new(line: LineId, policy: MediaPolicy) -> Self {
        Self {
            ready: None,
            line,
            offer_answer: None,
            early_dialogs: BTreeMap::new(),
            peer: None,
            fault: None,
            begins: false,
            keys: None,
            told: false,
            early: true,
            agreed: None,
            handshake: None,
            policy,
        }
    }

    /// Has nobody answered?
    pub(crate) const fn is_early(&self) -> bool {
        self.early
    }

    /// Which side of ICE we are in it.
    pub(crate) const fn ice(&self) -> Ice {
        self.policy.ice
    }

    fn open(
        &mut self,
        engine: &Engine,
        leg: LegId,
        place: Place,
        rng: &mut StdRng,
    ) -> Result<&mut OfferAnswer, MediaFault> {
        let media = place.media();
        engine.open_leg(leg, place.ports)?;
        engine.early_leg(leg, self.early)?;
        let capabilities = Capabilities {
            codecs: self.policy.codecs.clone(),
            srtp: match self.policy.srtp {
                Srtp::Off => SrtpPolicy::Off,
                Srtp::Optional => SrtpPolicy::Optional,
                Srtp::Required => SrtpPolicy::Required,
            },
            keying: match self.policy.keys {
                SrtpKeys::Dtls => SrtpKeying::Dtls,
                SrtpKeys::Sdes => SrtpKeying::Sdes,
            },
            fingerprint: self.policy.identity.as_ref().map(|i| i.fingerprint().clone()),
            ice: match self.policy.ice {
                Ice::Full => Side::Full,
                Ice::Lite => Side::Lite,
                Ice::Off => Side::Off,
            },
            silences: self.policy.silences,
            feedback: self.policy.feedback,
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
        place: Place,
        rng: &mut StdRng,
    ) -> Result<Vec<u8>, MediaFault> {
        let offer = self
            .open(engine, leg, place, rng)?
            .offer(Direction::SendRecv, rng);
        Ok(offer.to_string().into_bytes())
    }

    /// Opens ports and answers the first offer of the other side. A handshake begins with [`begin`](Self::begin).
    pub(crate) fn first_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        place: Place,
        offer: &[u8],
        rng: &mut StdRng,
    ) -> Result<Vec<u8>, MediaFault> {
        let offer = SessionDescription::parse(offer)?;
        let remote = place.remote;
        let (answer, agreed) =
            self.open(engine, leg, place, rng)?
                .handle_offer(&offer, Direction::SendRecv, rng)?;
        self.agree(engine, leg, remote, agreed)?;
        Ok(answer.to_string().into_bytes())
    }

    /// Tells the engine what is agreed, with the keys of a handshake that goes on to count.
    fn agree(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        mut agreed: Agreed,
    ) -> Result<&Agreed, MediaFault> {
        agreed.signalling = remote;
        agreed.symmetric = self.policy.symmetric;
        self.handshake = self
            .handshake
            .take()
            .filter(|h| Some(h.peer()) == agreed.dtls.as_ref());
        if agreed.dtls.is_some() {
            agreed.srtp = self.handshake.as_ref().and_then(Handshake::keys).cloned();
        }
        engine.update_leg(leg, &agreed)?;
        Ok(self.agreed.insert(agreed))
    }

    /// The other side has, or gets, our description: begins the handshake, if there is to be one.
    pub(crate) fn begin(&mut self, engine: &Engine, leg: LegId, now: Instant) -> Result<(), MediaFault> {
        let peer = self.agreed.as_ref().and_then(|agreed| agreed.dtls.as_ref());
        if let (Some(peer), Some(identity), None) = (peer, &self.policy.identity, &self.handshake) {
            self.handshake = Some(Handshake::new(identity, peer, now)?);
            self.go_on(engine, leg);
        }
        Ok(())
    }

    /// A datagram of the handshake came.
    pub(crate) fn datagram(&mut self, engine: &Engine, leg: LegId, now: Instant, datagram: &[u8]) {
        if let Some(handshake) = &mut self.handshake {
            handshake.datagram(now, datagram);
            self.go_on(engine, leg);
        }
    }

    /// When the handshake wants to go on, or a key is to be pressed.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let handshake = self.handshake.as_ref().and_then(Handshake::poll_timeout);
        let keys = self.keys.as_ref().and_then(KeysOut::poll_timeout);
        handshake.into_iter().chain(keys).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, engine: &Engine, leg: LegId, now: Instant) {
        if let Some(handshake) = &mut self.handshake
            && handshake.poll_timeout().is_some_and(|due| due <= now)
        {
            handshake.timeout(now);
            self.go_on(engine, leg);
        }
    }

    /// The call is answered: what comes from here on counts.
    pub(crate) fn answered(&mut self, engine: &Engine, leg: LegId) -> Result<(), MediaFault> {
        self.early = false;
        Ok(engine.early_leg(leg, false)?)
    }

    /// Does what the handshake wants; a fault is kept for whoever ends the call. One from before the answer may be with
    /// somebody who never answers: then nothing is heard of him.
    fn go_on(&mut self, engine: &Engine, leg: LegId) {
        let Some(handshake) = &mut self.handshake else {
            return;
        };
        let before = handshake.keys().cloned();
        let mut fault = handshake.go_on(|datagram| engine.send_handshake(leg, datagram));
        let keys = handshake.keys().cloned();
        if let (true, Some(agreed)) = (keys != before, &mut self.agreed) {
            agreed.srtp = keys;
            let told = engine.update_leg(leg, agreed);
            fault = fault.or(told.err().map(|e| e.to_string()));
        }
        if self.early && fault.is_some() {
            self.handshake = None;
            return;
        }
        self.fault = self.fault.take().or(fault);
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
        let (answer, agreed) = state.handle_offer(&offer, Direction::SendRecv, rng)?;
        let held = self.agree(engine, leg, remote, agreed)?.held();
        Ok((answer.to_string().into_bytes(), held))
    }

    /// The answer to an offer of ours.
    pub(crate) fn take_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        now: Instant,
        answer: &[u8],
    ) -> Result<Agreed, MediaFault> {
        let state = self.offer_answer.as_mut().ok_or(MediaFault::NoSession)?;
        let answer = SessionDescription::parse(answer)?;
        let agreed = state.handle_answer(&answer)?;
        let agreed = self.agree(engine, leg, remote, agreed)?.clone();
        self.begin(engine, leg, now)?;
        Ok(agreed)
    }

    /// An answer from before the call was answered: what is heard until then.
    pub(crate) fn early_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        now: Instant,
        answer: &[u8],
    ) -> Result<Agreed, MediaFault> {
        let state = self.offer_answer.as_mut().ok_or(MediaFault::NoSession)?;
        let answer = SessionDescription::parse(answer)?;
        let agreed = state.handle_early_answer(&answer)?;
        let agreed = self.agree(engine, leg, remote, agreed)?.clone();
        self.begin(engine, leg, now)?;
        Ok(agreed)
    }

    /// An offer of somebody who has not answered the call, but our first offer, in this dialog. Our answer, and what is agreed
    /// by it if he is `heard`: then that counts until somebody answers.
    pub(crate) fn answer_early(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        (dialog, heard): (&str, bool),
        (answered, offer): (&[u8], &[u8]),
        rng: &mut StdRng,
    ) -> Result<(Vec<u8>, Option<Agreed>), MediaFault> {
        let offer = SessionDescription::parse(offer)?;
        let mut state = match self.early_dialogs.get(dialog) {
            Some(state) => state.clone(),
            None => {
                let first = self.offer_answer.as_ref().ok_or(MediaFault::NoSession)?;
                first.early_dialog(&SessionDescription::parse(answered)?)?
            }
        };
        let (answer, agreed) = state.handle_offer(&offer, Direction::SendRecv, rng)?;
        let agreed = match heard {
            true => Some(self.agree(engine, leg, remote, agreed)?.clone()),
            false => None,
        };
        self.begins |= heard;
        self.early_dialogs.insert(dialog.to_owned(), state);
        Ok((answer.to_string().into_bytes(), agreed))
    }

    /// The call is answered in this dialog: what was agreed there last counts, else this answer to our offer.
    pub(crate) fn take_first_answer(
        &mut self,
        engine: &Engine,
        leg: LegId,
        remote: Option<IpAddr>,
        now: Instant,
        (dialog, answer): (&str, &[u8]),
    ) -> Result<Agreed, MediaFault> {
        let settled = std::mem::take(&mut self.early_dialogs).remove(dialog);
        let Some(state) = settled else {
            return self.take_answer(engine, leg, remote, now, answer);
        };
        let agreed = state.agreed().cloned().ok_or(MediaFault::NoSession)?;
        self.offer_answer = Some(state);
        let agreed = self.agree(engine, leg, remote, agreed)?.clone();
        self.begin(engine, leg, now)?;
        Ok(agreed)
    }

    /// Does the other side want nothing of the door's?
    pub(crate) fn is_held(&self) -> bool {
        self.agreed.as_ref().is_some_and(Agreed::held)
    }

    /// Has media failed, and is that not told yet?
    pub(crate) const fn fails(&self) -> bool {
        self.fault.is_some() && !self.told
    }

    /// Why media failed, once.
    pub(crate) fn fault_once(&mut self) -> Option<String> {
        let fault = self.fault.clone().filter(|_| !self.told)?;
        self.told = true;
        Some(fault)
    }

    /// An offer of ours was not answered: the old state stays.
    pub(crate) fn offer_refused(&mut self) {
        if let Some(state) = &mut self.offer_answer {
            state.offer_refused();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use gateway_media::EngineParams;
    use rand::SeedableRng;

    use super::*;

    const LEG: LegId = LegId(1);
    const REMOTE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// As phones write it: a port and a codec, PCMA or PCMU.
    fn speech(port: u16, codec: u8) -> Vec<u8> {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {codec}\r\n"
        );
        text.into_bytes()
    }

    fn begun(ports: std::ops::RangeInclusive<u16>) -> (Engine, Session, StdRng, SessionDescription) {
        let engine = Engine::start(
            EngineParams {
                bind: Ipv4Addr::LOCALHOST.into(),
                ports,
                ..EngineParams::default()
            },
            |_| Ok(()),
        )
        .expect("an engine");
        let mut rng = StdRng::seed_from_u64(1);
        let policy = MediaPolicy {
            codecs: vec![AudioCodec::Pcma, AudioCodec::Pcmu],
            srtp: Srtp::Off,
            keys: SrtpKeys::Sdes,
            ice: Ice::Off,
            symmetric: true,
            silences: false,
            feedback: false,
            identity: None,
        };
        let mut session = Session::new(LineId::new("riser").expect("a name"), policy);
        let place = Place {
            ports: engine.reserve_ports().expect("ports"),
            local: Ipv4Addr::LOCALHOST.into(),
            public: None,
            remote: REMOTE,
        };
        let offer = session
            .first_offer(&engine, LEG, place, &mut rng)
            .expect("an offer");
        let offer = SessionDescription::parse(&offer).expect("ours");
        (engine, session, rng, offer)
    }

    #[test]
    fn of_forks_that_made_offers_the_one_that_answers_is_agreed_with_by_its_last() {
        let (engine, mut session, mut rng, offer) = begun(27_801..=27_810);
        let now = Instant::ZERO;
        let sends = |session: &Session| session.agreed.as_ref().map(|a| (a.remote_rtp.port(), a.send.0));
        session
            .early_answer(&engine, LEG, REMOTE, now, &speech(5_000, 8))
            .expect("heard");
        let mut asks = |session: &mut Session, of: (&str, bool), port: u16, codec: u8| {
            let said = (&speech(4_998, 8)[..], &speech(port, codec)[..]);
            let (answer, agreed) = session.answer_early(&engine, LEG, REMOTE, of, said, &mut rng)?;
            let answer = SessionDescription::parse(&answer)?;
            Ok::<_, MediaFault>((answer.origin.version, agreed.is_some()))
        };
        // what is not heard changes nothing of what is
        let version = offer.origin.version;
        assert_eq!(
            asks(&mut session, ("two", false), 6_000, 8).expect("agreed"),
            (version + 1, false)
        );
        assert_eq!(sends(&session), Some((5_000, 8)));
        assert_eq!(
            asks(&mut session, ("one", true), 5_002, 0).expect("agreed"),
            (version + 1, true)
        );
        assert_eq!(sends(&session), Some((5_002, 0)));
        // of two offers the last one counts, and one that is refused does not
        asks(&mut session, ("two", false), 6_002, 0).expect("agreed");
        assert!(asks(&mut session, ("two", false), 6_004, 3).is_err(), "GSM");
        let agreed = session
            .take_first_answer(&engine, LEG, REMOTE, now, ("two", b"whatever"))
            .expect("answered");
        assert_eq!((agreed.remote_rtp.port(), agreed.send.0), (6_002, 0));
        assert_eq!(sends(&session), Some((6_002, 0)));
        // and the call goes on from there
        let again = session.offer_again(&mut rng).expect("an offer");
        let again = SessionDescription::parse(&again).expect("ours");
        assert!(again.origin.version >= version + 2, "{again:?}");
        assert_eq!(again.origin.session, offer.origin.session);
    }

    #[test]
    fn who_made_no_offer_of_its_own_is_agreed_with_by_its_answer() {
        let (engine, mut session, mut rng, _) = begun(27_811..=27_820);
        let said = (&speech(5_000, 8)[..], &speech(5_002, 0)[..]);
        session
            .answer_early(&engine, LEG, REMOTE, ("one", true), said, &mut rng)
            .expect("agreed");
        let agreed = session
            .take_first_answer(&engine, LEG, REMOTE, Instant::ZERO, ("two", &speech(6_000, 8)))
            .expect("answered");
        assert_eq!((agreed.remote_rtp.port(), agreed.send.0), (6_000, 8));
        assert!(session.early_dialogs.is_empty());
    }
}
