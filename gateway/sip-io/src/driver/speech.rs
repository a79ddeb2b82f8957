//! Speech of legs: with what policy, at which place, under which keys.

use std::net::IpAddr;
use std::sync::Arc;

use gateway_core::{AccountId, Cause, Instant, LegEvent, LegId, LineId, Peer, Tone};
use gateway_media::LegStats;
use gateway_media::dtls::Identity;

use super::Driver;
use crate::session::{MediaFault, MediaPolicy, Place, Session};
use crate::{Ice, QualityReport, SipEvent, Srtp, convert};

impl Driver {
    pub(super) fn policy_of(&mut self, account: Option<&AccountId>) -> MediaPolicy {
        let account = account.and_then(|id| self.params.accounts.iter().find(|a| a.id == *id));
        let direct = &self.params;
        let unnamed = (direct.direct_srtp, direct.direct_srtp_keys, direct.direct_ice);
        let (srtp, keys, ice) = account.map_or(unnamed, |a| (a.srtp, a.srtp_keys, a.ice));
        let codecs = account.map_or(&direct.direct_codecs, |a| &a.codecs).clone();
        let symmetric = account.map_or(direct.direct_symmetric, |a| a.symmetric);
        let silences = account.map_or(direct.direct_silences, |a| a.silences);
        let feedback = account.map_or(direct.direct_feedback, |a| a.feedback);
        MediaPolicy {
            codecs,
            srtp,
            keys,
            ice,
            symmetric,
            silences,
            feedback,
            identity: (srtp != Srtp::Off).then(|| self.identity()).flatten(),
        }
    }

    /// Our certificate for handshakes, made when it is wanted first.
    fn identity(&mut self) -> Option<Arc<Identity>> {
        if self.identity.is_none() {
            match Identity::generate() {
                Ok(identity) => self.identity = Some(Arc::new(identity)),
                Err(error) => tracing::error!(%error, "calls go without DTLS"),
            }
        }
        self.identity.clone()
    }

    /// Where media of a leg is, for a call whose signalling goes from `local` of ours.
    pub(super) fn place(&self, leg: LegId, local: IpAddr, ice: Ice) -> Result<Place, MediaFault> {
        let remote = self.ua.remote_of(leg);
        let public = self.outside.seen_by(remote, local);
        let asked = public.is_some() || ice == Ice::Full;
        let ready = asked.then(|| self.ready.take()).flatten();
        let ports = match ready {
            Some(ports) => ports,
            // when there are no others the last ones are those that are kept
            None => match self.engine.reserve_ports() {
                Ok(ports) => ports,
                Err(error) => self.ready.take().ok_or(error)?,
            },
        };
        Ok(Place {
            local,
            public,
            remote,
            ports,
        })
    }

    /// Begins handshakes with those who have been sent our description.
    pub(super) fn begin_handshakes(&mut self, now: Instant) {
        let sessions = self.sessions.iter_mut().filter(|(_, session)| session.begins);
        let mut failed = Vec::new();
        for (leg, session) in sessions {
            session.begins = false;
            if let Err(e) = session.begin(&self.engine, *leg, now) {
                failed.push((*leg, e));
            }
        }
        if failed.is_empty() {
            return;
        }
        for (leg, e) in failed {
            self.no_media(now, leg, &e);
        }
        self.drain();
    }

    /// Time has passed for handshakes; calls without keys end.
    pub(super) fn handshakes(&mut self, now: Instant) {
        for (leg, session) in &mut self.sessions {
            session.handle_timeout(&self.engine, *leg, now);
        }
        let failed: Vec<LegId> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.fails())
            .map(|(leg, _)| *leg)
            .collect();
        for leg in failed {
            self.fault(now, leg);
        }
    }

    /// Ends a call whose handshake failed: it never goes on in clear.
    pub(super) fn fault(&mut self, now: Instant, leg: LegId) {
        if let Some(session) = self.sessions.get_mut(&leg)
            && let Some(fault) = session.fault_once()
        {
            tracing::warn!(%leg, why = %fault, "media cannot be protected");
            self.ua.end(now, leg, Cause::Media);
        }
    }

    /// Makes the answer of a leg that came in ready, or the offer if it brought none. False if it has no media, and ends.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        leg: LegId,
        line: LineId,
        peer: &Peer,
        (account, local, offer): (Option<&AccountId>, IpAddr, Option<&[u8]>),
    ) -> bool {
        let mut session = Session::new(line, self.policy_of(account));
        let ready = self
            .place(leg, local, session.ice())
            .and_then(|place| match offer {
                Some(offer) => session.first_answer(&self.engine, leg, place, offer, &mut self.rng),
                None => session.first_offer(&self.engine, leg, place, &mut self.rng),
            });
        match ready {
            Ok(sdp) => {
                session.ready = Some(sdp);
                session.peer = Some(peer.clone());
                self.sessions.insert(leg, session);
                self.measures.legs.add(1);
                true
            }
            Err(e) => {
                self.no_media(now, leg, &e);
                false
            }
        }
    }

    pub(super) fn confirmed(&mut self, now: Instant, leg: LegId, sdp: Option<Vec<u8>>) {
        let Some(session) = self.sessions.get_mut(&leg) else {
            return;
        };
        if let Some(answer) = sdp
            && let Err(e) = session.take_answer(&self.engine, leg, self.ua.remote_of(leg), now, &answer)
        {
            self.no_media(now, leg, &e);
            return;
        }
        if let Err(e) = session.answered(&self.engine, leg) {
            self.no_media(now, leg, &e);
            return;
        }
        // one that failed before begins anew
        session.begins = true;
        let (peer, held) = (session.peer.take().unwrap_or_default(), session.is_held());
        self.leg(LegEvent::Answered { leg, peer });
        if held {
            self.leg(LegEvent::Held { held, leg });
        }
        self.digits.open(leg);
    }

    /// Somebody who has not answered has something to be heard. Without it the call goes on as ever.
    pub(super) fn early_media(&mut self, now: Instant, leg: LegId, answer: &[u8]) {
        let Some(session) = self.sessions.get_mut(&leg) else {
            return;
        };
        match session.early_answer(&self.engine, leg, self.ua.remote_of(leg), now, answer) {
            Ok(agreed) => {
                tracing::debug!(%leg, ?agreed, "early media");
                if agreed.direction.receives() {
                    self.leg(LegEvent::EarlyMedia { leg });
                }
            }
            Err(error) => tracing::debug!(%leg, %error, "early media cannot be heard"),
        }
    }

    /// Somebody who has not answered makes an offer, after an answer to ours. Only what is `heard` of them counts before the
    /// answer; what is refused leaves everything as it was.
    pub(super) fn early_offer(
        &mut self,
        now: Instant,
        leg: LegId,
        (dialog, heard): (&str, bool),
        said: (&[u8], &[u8]),
    ) {
        let remote = self.ua.remote_of(leg);
        let answer = self
            .sessions
            .get_mut(&leg)
            .ok_or(MediaFault::NoSession)
            .and_then(|of| of.answer_early(&self.engine, leg, remote, (dialog, heard), said, &mut self.rng));
        match answer {
            Ok((answer, agreed)) => {
                tracing::debug!(%leg, dialog, ?agreed, "an offer before the answer");
                self.ua.answer_early_offer(now, leg, dialog, Some(answer));
                if agreed.is_some_and(|agreed| agreed.direction.receives()) {
                    self.leg(LegEvent::EarlyMedia { leg });
                }
            }
            Err(error) => {
                tracing::info!(%leg, dialog, %error, "an offer before the answer is refused");
                self.ua.answer_early_offer(now, leg, dialog, None);
            }
        }
    }

    /// A leg that is not answered is heard at its line.
    pub(super) fn listen(&mut self, leg: LegId) {
        if let Some(session) = self.sessions.get(&leg).filter(|session| session.is_early())
            && let Err(error) = self.engine.connect_leg(leg, &session.line)
        {
            tracing::warn!(%leg, %error, "early media cannot be heard");
        }
    }

    /// Tells a caller that it rings, and has him hear that, if he has said where.
    pub(super) fn ring_back(&mut self, now: Instant, leg: LegId) {
        let Some(session) = self.sessions.get_mut(&leg) else {
            return;
        };
        let Some(sdp) = &session.ready else {
            self.ua.ring(now, leg);
            return;
        };
        self.ua.ring_back(now, leg, sdp);
        // he has our description by this
        session.begins = true;
        if let Err(error) = self.engine.play_to_leg(leg, Tone::Ringback) {
            tracing::warn!(%leg, %error, "a caller does not hear that it rings");
        }
    }

    /// The numbers of a leg that is over are counted, and told if anything was heard or said.
    pub(super) fn ended_media(&mut self, leg: LegId, stats: &LegStats) {
        if stats.received == 0 && stats.sent == 0 {
            return;
        }
        let quality = convert::quality(stats);
        self.measures.heard(&quality);
        self.report(SipEvent::Quality(QualityReport { leg, quality }));
    }

    pub(super) fn no_media(&mut self, now: Instant, leg: LegId, error: &MediaFault) {
        if let MediaFault::Engine(fault) = error {
            tracing::error!(%leg, error = %fault, "no media");
            self.report(SipEvent::Fault(format!(
                "{fault}; the call of {leg} has no audio"
            )));
        } else {
            tracing::info!(%leg, %error, "no common media");
        }
        self.ua.end(now, leg, Cause::Media);
    }
}
