//! Offer/answer for one audio stream (RFC 3264). One [`OfferAnswer`] lives as long as the dialog; a call that is forked has
//! one for each dialog in which more than one answer came.

use std::net::{IpAddr, SocketAddr};

use rand::RngCore;

use super::choose::Chosen;
use super::dtls::{self, Handshake, Setup};
use super::formats::{self, Formats, Numbers};
use super::profile::{self, has_feedback, is_dtls, is_secure};
use super::{
    Agreed, Attribute, AudioCodec, CryptoAttribute, Direction, DtlsPeer, EventFormat, MasterKey, MediaLine,
    Origin, Quiet, SdpError, SessionDescription, SrtpKeying, SrtpKeys, SrtpPolicy, SrtpSuite, ice,
};
use crate::dtls::Fingerprint;
use crate::ice::Side;

/// What we offer and accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs, best first.
    pub codecs: Vec<AudioCodec>,
    /// Packet length we ask for, ms.
    pub ptime_ms: u16,
    /// Ask for RTP and RTCP on one port, and agree to it.
    pub rtcp_mux: bool,
    /// Encryption.
    pub srtp: SrtpPolicy,
    /// Suites, best first.
    pub suites: Vec<SrtpSuite>,
    /// How the keys are agreed on.
    pub keying: SrtpKeying,
    /// That of our certificate; without it there is no DTLS.
    pub fingerprint: Option<Fingerprint>,
    /// Which side of ICE we are (RFC 8445), where the other side speaks it at all.
    pub ice: Side,
    /// While nobody speaks next to nothing is sent, to whoever wants it so, and wanted.
    pub silences: bool,
    /// Offer the profile with feedback (RFC 4585). No feedback itself is offered, and none answered.
    pub feedback: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            codecs: vec![
                AudioCodec::Opus,
                AudioCodec::G722,
                AudioCodec::Pcma,
                AudioCodec::Pcmu,
            ],
            ptime_ms: 20,
            rtcp_mux: true,
            srtp: SrtpPolicy::Off,
            suites: SrtpSuite::ALL.to_vec(),
            keying: SrtpKeying::Sdes,
            fingerprint: None,
            ice: Side::Off,
            silences: false,
            feedback: false,
        }
    }
}

/// Where we receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address the other side reaches.
    pub address: IpAddr,
    /// RTP and RTCP on the machine itself, where that is elsewhere.
    pub host: Option<[SocketAddr; 2]>,
    /// RTP and RTCP as others see them, where that is elsewhere.
    pub seen: Option<[SocketAddr; 2]>,
    /// RTP port.
    pub rtp_port: u16,
    /// RTCP port, usually one more.
    pub rtcp_port: u16,
}

/// The offer/answer state of a dialog: our m-lines, keys and version.
#[derive(Clone, Debug)]
pub struct OfferAnswer {
    pub(super) capabilities: Capabilities,
    local: LocalMedia,
    session: u64,
    version: u64,
    /// Our last description, for the version and for m-lines that must stay.
    sent: Option<SessionDescription>,
    /// Position of the audio stream among the m-lines.
    audio: usize,
    /// What we offered, until the answer.
    pending: Option<Pending>,
    /// Our key by suite: a re-offer keeps it, so that contexts live on.
    keys: Vec<(SrtpSuite, MasterKey)>,
    agreed: Option<Agreed>,
    ice: ice::Ours,
    /// Our payload types in this dialog.
    numbers: Numbers,
}

#[derive(Clone, Debug)]
struct Pending {
    codecs: Vec<(u8, AudioCodec)>,
    events: Vec<EventFormat>,
    direction: Direction,
    crypto: Vec<CryptoAttribute>,
    /// A fingerprint was offered.
    dtls: bool,
    required: bool,
    mux: bool,
}

impl Pending {
    /// Does this payload type mean something in the offer?
    fn uses(&self, number: u8) -> bool {
        self.codecs.iter().any(|(n, _)| *n == number) || self.events.iter().any(|e| e.payload_type == number)
    }
}

impl OfferAnswer {
    /// For a new dialog; the session id of `o=` is drawn from `rng`.
    #[must_use]
    pub fn new(capabilities: Capabilities, local: LocalMedia, rng: &mut dyn RngCore) -> Self {
        Self {
            ice: ice::Ours::new(capabilities.ice),
            capabilities,
            local,
            session: rng.next_u64() >> 2, // fits peers that read it as a signed number
            version: 0,
            sent: None,
            audio: 0,
            pending: None,
            keys: Vec::new(),
            agreed: None,
            numbers: Numbers::default(),
        }
    }

    /// What is agreed, after an answer in either direction.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// True while an offer of ours waits for its answer.
    #[must_use]
    pub fn offer_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Forgets an offer that was refused (RFC 3264 §8: the old state stays).
    pub fn offer_refused(&mut self) {
        self.pending = None;
    }

    /// The next offer. On a re-offer the m-lines, payload types and keys stay.
    pub fn offer(&mut self, direction: Direction, rng: &mut dyn RngCore) -> SessionDescription {
        let policy = self.capabilities.srtp;
        let mut crypto = Vec::new();
        let by_dtls = policy != SrtpPolicy::Off && self.capabilities.keying == SrtpKeying::Dtls;
        if policy != SrtpPolicy::Off && !by_dtls {
            let suites = self.capabilities.suites.clone().into_iter();
            for (n, suite) in suites.filter(|suite| suite.is_offered()).enumerate() {
                let key = self.key(suite, rng);
                crypto.push(CryptoAttribute {
                    tag: u32::try_from(n + 1).unwrap_or(u32::MAX),
                    suite,
                    draft_name: false,
                    key,
                });
            }
        }
        let secured = self.was_secured();
        let required = policy == SrtpPolicy::Required;
        let numbers = &mut self.numbers;
        let ours = self.capabilities.codecs.iter();
        let codecs: Vec<(u8, AudioCodec)> = ours.map(|c| (numbers.codec(*c), *c)).collect();
        let events = numbers.events(&codecs);
        let mux = self.capabilities.rtcp_mux;
        let sent = self.sent.as_ref().and_then(|sent| sent.media.get(self.audio));
        let sent = sent.map(|line| line.transport.clone());
        // a call goes on as it began, with room for feedback or without
        let feedback = sent.as_deref().map_or(self.capabilities.feedback, has_feedback);
        let transport = profile::of(required, by_dtls, feedback);
        // what is secured goes on under the profile that it was agreed under, if our keys go with it
        let agreed = sent.filter(|transport| secured && !required && is_dtls(transport) == by_dtls);
        let transport = agreed.as_deref().unwrap_or(transport);
        let narrow = |(_, codec): &(u8, AudioCodec)| codec.clock_rate() == 8_000;
        let comfort = (self.capabilities.silences && codecs.iter().any(narrow)).then_some(formats::COMFORT);
        let mut line = self.line(transport, (&codecs, &events, comfort), direction, &crypto, mux);
        let fingerprint = self.capabilities.fingerprint.as_ref().filter(|_| by_dtls);
        let dtls = fingerprint.is_some();
        if let Some(fingerprint) = fingerprint {
            line.attributes.extend(dtls::write(fingerprint, Setup::ActPass));
        }
        let ice = self.ice.offer(rng);
        if let Some(ours) = ice {
            // whether RTCP gets a port of its own is not settled yet
            line.attributes.extend(ice::write(&self.local, ours, false));
        }
        let mut media = self.sent.as_ref().map_or_else(Vec::new, |s| {
            s.media.iter().map(MediaLine::refused).collect::<Vec<_>>()
        });
        if media.is_empty() {
            media.push(line);
        } else {
            media[self.audio] = line;
        }
        self.pending = Some(Pending {
            codecs,
            events,
            direction,
            crypto,
            dtls,
            required,
            mux,
        });
        self.describe(media, true)
    }

    /// Takes an answer from before the call was answered: what comes meanwhile can be heard, and the offer goes on to wait
    /// for the answer that counts, be it the same or that of another phone of a forked call (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// As [`Self::handle_answer`]; then there is nothing to be heard.
    pub fn handle_early_answer(&mut self, answer: &SessionDescription) -> Result<Agreed, SdpError> {
        let (pending, before) = (self.pending.clone(), self.agreed.clone());
        let agreed = self.handle_answer(answer);
        (self.pending, self.agreed) = (pending, before);
        agreed
    }

    /// The state of one of the dialogs that our offer began, after this answer to it there: it goes on by itself, and is the
    /// state of the call if that dialog is answered (RFC 3261 §13.2.2.4). This one goes on to wait.
    ///
    /// # Errors
    /// As [`Self::handle_answer`].
    pub fn early_dialog(&self, answer: &SessionDescription) -> Result<Self, SdpError> {
        let mut dialog = self.clone();
        dialog.handle_answer(answer)?;
        Ok(dialog)
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// [`SdpError`] if nothing usable was agreed; the call cannot carry audio.
    pub fn handle_answer(&mut self, answer: &SessionDescription) -> Result<Agreed, SdpError> {
        let pending = self.pending.take().ok_or(SdpError::NoOffer)?;
        let expected = self.sent.as_ref().map_or(0, |s| s.media.len());
        let line = answer.media.get(self.audio).ok_or(SdpError::AnswerShape {
            found: answer.media.len(),
            expected,
        })?;
        if line.kind != "audio" || line.port == 0 {
            return Err(self.no_common(line));
        }
        let secure = is_secure(&line.transport);
        let policy = self.capabilities.srtp;
        let remote = line
            .values("crypto")
            .filter_map(CryptoAttribute::parse)
            .find_map(|r| {
                let ours = pending
                    .crypto
                    .iter()
                    .find(|c| c.tag == r.tag && c.suite == r.suite)?;
                Some(SrtpKeys {
                    suite: r.suite,
                    local: ours.key.clone(),
                    remote: r.key,
                })
            });
        let handshake = Handshake::read(answer, line, Setup::Passive).filter(|_| pending.dtls);
        if remote.is_none() && handshake.is_none() && (pending.required || secure || self.was_secured()) {
            let offered = if pending.dtls {
                "answered without a fingerprint that counts"
            } else {
                "answered without a key"
            };
            return Err(SdpError::Encryption { policy, offered });
        }
        let formats = Formats::read(line);
        let (payload, codec) = formats
            .codecs
            .iter()
            .copied()
            .find(|(_, c)| self.capabilities.codecs.contains(c))
            .ok_or_else(|| self.no_common(line))?;
        let receive = receive(&pending, &formats, codec);
        let (remote_rtp, unheard) = target(answer, line).ok_or(SdpError::NoAddress)?;
        let mux = pending.mux && line.attribute("rtcp-mux").is_some();
        let ice = self.ice.answered(ice::read(answer, line), mux);
        // with ICE the address of the line may not be known yet (RFC 8840 §4.1.1)
        let theirs = direction(answer, line, unheard && ice.is_none());
        let agreed = Agreed {
            remote_rtp,
            remote_rtcp: rtcp_target(line, remote_rtp, mux),
            signalling: None,
            symmetric: true,
            rtcp_mux: mux,
            send: (payload, codec),
            receive,
            opus: formats::opus(line, payload),
            comfort: formats.comfort,
            quiet: self.quiet(line, (payload, codec), &formats),
            send_events: formats.events_beside(codec),
            receive_events: receive_events(&pending, &formats),
            ptime_ms: codec.ptime(ptime(line, self.capabilities.ptime_ms)),
            direction: Direction::of(
                pending.direction.sends() && theirs.receives(),
                pending.direction.receives() && theirs.sends(),
            ),
            srtp: remote,
            dtls: handshake.map(|theirs| self.peer(theirs)),
            ice,
        };
        Ok(self.agree(agreed, line))
    }

    /// Answers an offer; `wanted` is the direction we would like, usually both ways.
    ///
    /// # Errors
    /// [`SdpError`] if the offer has no audio we can use: the request is refused with 488.
    pub fn handle_offer(
        &mut self,
        offer: &SessionDescription,
        wanted: Direction,
        rng: &mut dyn RngCore,
    ) -> Result<(SessionDescription, Agreed), SdpError> {
        if let Some(paused) = self.paused(offer) {
            return Ok(paused);
        }
        let (index, chosen) = self.choose(offer)?;
        if matches!(chosen, Chosen::Plain) && self.was_secured() {
            let (policy, offered) = (self.capabilities.srtp, "would go on in clear");
            return Err(SdpError::Encryption { policy, offered });
        }
        let (keys, handshake) = match chosen {
            Chosen::Dtls(handshake) => (None, Some(handshake)),
            Chosen::Plain => (None, None),
            Chosen::Sdes(keys) => (Some(keys), None),
        };
        let line = &offer.media[index];
        let formats = Formats::read(line);
        let common: Vec<(u8, AudioCodec)> = self
            .capabilities
            .codecs
            .iter()
            .filter_map(|c| formats.codecs.iter().copied().find(|(_, f)| f == c))
            .collect();
        let send = *common.first().ok_or_else(|| self.no_common(line))?;
        let (remote_rtp, unheard) = target(offer, line).ok_or(SdpError::NoAddress)?;
        let mux = self.capabilities.rtcp_mux && line.attribute("rtcp-mux").is_some();
        let ice = self.ice.offered(ice::read(offer, line), mux, rng);
        let theirs = direction(offer, line, unheard && ice.is_none());
        let ours = Direction::of(
            wanted.sends() && theirs.receives(),
            wanted.receives() && theirs.sends(),
        );
        let crypto: Vec<CryptoAttribute> = keys
            .as_ref()
            .map(|c| CryptoAttribute {
                tag: c.tag,
                suite: c.suite,
                draft_name: c.draft_name,
                key: self.key(c.suite, rng),
            })
            .into_iter()
            .collect();
        self.numbers.take(&common, &formats.events);
        let comfort = formats.comfort.filter(|_| self.capabilities.silences);
        let mut own = self.line(
            &line.transport,
            (&common, &formats.events, comfort),
            ours,
            &crypto,
            mux,
        );
        let dtls = handshake.map(|theirs| self.peer(theirs));
        if let (Some(peer), Some(fingerprint)) = (&dtls, &self.capabilities.fingerprint) {
            let setup = if peer.active {
                Setup::Active
            } else {
                Setup::Passive
            };
            own.attributes.extend(dtls::write(fingerprint, setup));
        }
        if let Some(ice) = &ice {
            own.attributes.extend(ice::write(&self.local, &ice.local, mux));
        }
        let mut media: Vec<MediaLine> = offer.media.iter().map(MediaLine::refused).collect();
        media[index] = own;
        self.audio = index;
        self.pending = None;
        let agreed = Agreed {
            remote_rtp,
            remote_rtcp: rtcp_target(line, remote_rtp, mux),
            signalling: None,
            symmetric: true,
            rtcp_mux: mux,
            send,
            receive: common,
            opus: formats::opus(line, send.0),
            comfort: formats.comfort,
            quiet: self.quiet(line, send, &formats),
            send_events: formats.events_beside(send.1),
            receive_events: formats.events.iter().map(|e| e.payload_type).collect(),
            ptime_ms: send.1.ptime(ptime(line, self.capabilities.ptime_ms)),
            direction: ours,
            srtp: keys
                .zip(crypto.into_iter().next())
                .map(|(theirs, ours)| SrtpKeys {
                    suite: theirs.suite,
                    local: ours.key,
                    remote: theirs.key,
                }),
            dtls,
            ice,
        };
        let ice = agreed.ice.is_some();
        let agreed = self.agree(agreed, line);
        Ok((self.describe(media, ice), agreed))
    }

    /// An offer in a call that takes the speech out of it and puts nothing else there (RFC 3264 §8.2): nobody hears anybody until the
    /// next offer. With something else in its place, as for a fax, it is refused, so that the speech stays.
    fn paused(&mut self, offer: &SessionDescription) -> Option<(SessionDescription, Agreed)> {
        let mut agreed = self.agreed.clone()?;
        let line = offer.media.get(self.audio)?;
        if line.kind != "audio" || offer.media.iter().any(|line| line.port != 0) {
            return None;
        }
        agreed.direction = Direction::Inactive;
        self.pending = None;
        self.agreed = Some(agreed.clone());
        let media = offer.media.iter().map(MediaLine::refused).collect();
        Some((self.describe(media, false), agreed))
    }

    /// Payload types that meant something before in this call go on to mean it (RFC 3264 §8.3.2): a PBX that lets media go
    /// past it (`direct_media`) gives the door new numbers, and the phone the door's old ones.
    fn agree(&mut self, mut agreed: Agreed, line: &MediaLine) -> Agreed {
        if let Some(before) = &self.agreed {
            let free = |agreed: &Agreed, number: u8| {
                !agreed.receive_events.contains(&number)
                    && agreed.receive.iter().all(|(n, _)| *n != number)
                    && line.formats.iter().all(|format| format.parse() != Ok(number))
            };
            for (number, codec) in &before.receive {
                if agreed.receive.iter().any(|(_, c)| c == codec) && free(&agreed, *number) {
                    agreed.receive.push((*number, *codec));
                }
            }
            let events = !agreed.receive_events.is_empty();
            for number in before.receive_events.iter().filter(|_| events) {
                if free(&agreed, *number) {
                    agreed.receive_events.push(*number);
                }
            }
        }
        self.agreed = Some(agreed.clone());
        agreed
    }

    /// What is sent while nobody speaks, to whoever has written this line.
    fn quiet(&self, line: &MediaLine, (payload, codec): (u8, AudioCodec), theirs: &Formats) -> Option<Quiet> {
        if !self.capabilities.silences {
            return None;
        }
        match codec {
            AudioCodec::Opus => formats::opus(line, payload).silences.then_some(Quiet::Sparse),
            AudioCodec::G722 | AudioCodec::Pcma | AudioCodec::Pcmu => theirs.comfort.map(Quiet::Comfort),
        }
    }

    /// Is media of this call protected? Then it stays so, whatever the policy lets another call be.
    fn was_secured(&self) -> bool {
        self.agreed
            .as_ref()
            .is_some_and(|before| before.dtls.is_some() || before.srtp.is_some())
    }

    /// The other side of a handshake. Who began before with the same certificate goes on to be who begins.
    fn peer(&self, theirs: Handshake) -> DtlsPeer {
        let before = self.agreed.as_ref().and_then(|agreed| agreed.dtls.as_ref());
        let same = before.filter(|peer| peer.fingerprints == theirs.fingerprints);
        DtlsPeer {
            active: theirs.active(same.map(|peer| peer.active)),
            fingerprints: theirs.fingerprints,
        }
    }

    pub(super) fn wanted(&self) -> String {
        let names: Vec<&str> = self.capabilities.codecs.iter().map(|c| c.name()).collect();
        names.join(", ")
    }

    pub(super) fn no_common(&self, line: &MediaLine) -> SdpError {
        SdpError::NoCommonAudio {
            wanted: self.wanted(),
            found: format!(
                "{} port {} {} {}",
                line.kind,
                line.port,
                line.transport,
                line.formats.join(" ")
            )
            .chars()
            .take(120)
            .collect(),
        }
    }

    fn key(&mut self, suite: SrtpSuite, rng: &mut dyn RngCore) -> MasterKey {
        if let Some((_, key)) = self.keys.iter().find(|(s, _)| *s == suite) {
            return key.clone();
        }
        let key = MasterKey::random(suite, rng);
        self.keys.push((suite, key.clone()));
        key
    }

    fn line(
        &self,
        transport: &str,
        (codecs, events, comfort): (&[(u8, AudioCodec)], &[EventFormat], Option<u8>),
        direction: Direction,
        crypto: &[CryptoAttribute],
        mux: bool,
    ) -> MediaLine {
        let silences = self.capabilities.silences;
        let (formats, mut attributes) = formats::write(codecs, events, (silences, comfort));
        attributes.push(Attribute::new("ptime", self.capabilities.ptime_ms.to_string()));
        attributes.push(Attribute::new("maxptime", "60"));
        for c in crypto {
            attributes.push(Attribute::new("crypto", c.to_value()));
        }
        attributes.push(Attribute::new("rtcp", self.local.rtcp_port.to_string()));
        if mux {
            attributes.push(Attribute::flag("rtcp-mux"));
        }
        attributes.push(Attribute::flag(direction.as_str()));
        MediaLine {
            kind: "audio".into(),
            port: self.local.rtp_port,
            transport: transport.to_owned(),
            formats,
            connection: None,
            attributes,
        }
    }

    /// Our description with these m-lines, with ICE if we speak it and `ice`; the version grows if it differs from the last
    /// one.
    fn describe(&mut self, media: Vec<MediaLine>, ice: bool) -> SessionDescription {
        let changed = self.sent.as_ref().is_none_or(|s| s.media != media);
        if changed {
            self.version += 1;
        }
        let d = SessionDescription {
            origin: Origin {
                user: "-".into(),
                session: self.session,
                version: self.version,
                address: self.local.address.to_string(),
            },
            name: "-".into(),
            connection: Some(self.local.address),
            attributes: self.ice.attribute().filter(|_| ice).into_iter().collect(),
            media,
        };
        self.sent = Some(d.clone());
        d
    }
}

/// What we take after an answer, with the codec we send first: what we offered, by our payload types and by the
/// other side's own, for peers that send with their number instead of ours. Opus only if the answer has it: its
/// decoder is large.
fn receive(ours: &Pending, theirs: &Formats, sent: AudioCodec) -> Vec<(u8, AudioCodec)> {
    let answered = |codec| theirs.codecs.iter().any(|(_, c)| *c == codec);
    let offered = ours.codecs.iter();
    let mut list: Vec<(u8, AudioCodec)> = offered
        .filter(|(_, c)| *c != AudioCodec::Opus || answered(*c))
        .copied()
        .collect();
    list.sort_by_key(|(_, c)| *c != sent);
    for (number, codec) in &theirs.codecs {
        let is_ours = ours.codecs.iter().any(|(_, c)| c == codec);
        if is_ours && !ours.uses(*number) && list.iter().all(|(n, _)| n != number) {
            list.push((*number, *codec));
        }
    }
    list
}

/// Payload types on which digits may come after an answer: those we gave, and the other side's own, unless they mean
/// something else here.
fn receive_events(ours: &Pending, theirs: &Formats) -> Vec<u8> {
    if theirs.events.is_empty() {
        return Vec::new();
    }
    let mut list: Vec<u8> = ours.events.iter().map(|e| e.payload_type).collect();
    for number in theirs.events.iter().map(|e| e.payload_type) {
        if !ours.uses(number) && theirs.codecs.iter().all(|(n, _)| *n != number) {
            list.push(number);
        }
    }
    list
}

/// Address for RTP, and true if it is `0.0.0.0` or `::`, the hold of RFC 2543.
fn target(session: &SessionDescription, line: &MediaLine) -> Option<(SocketAddr, bool)> {
    let address = line.connection.or(session.connection)?;
    Some((SocketAddr::new(address, line.port), address.is_unspecified()))
}

fn direction(session: &SessionDescription, line: &MediaLine, unheard: bool) -> Direction {
    let stated = line
        .direction()
        .or_else(|| session.attributes.iter().find_map(|a| Direction::parse(&a.name)))
        .unwrap_or_default();
    Direction::of(stated.sends(), stated.receives() && !unheard)
}

/// RTCP: the same port with mux, else `a=rtcp` (RFC 3605), else one more.
fn rtcp_target(line: &MediaLine, rtp: SocketAddr, mux: bool) -> SocketAddr {
    let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
    if mux {
        return rtp;
    }
    let Some(value) = line.values("rtcp").next() else {
        return next;
    };
    let mut words = value.split_ascii_whitespace();
    let Some(port) = words.next().and_then(|w| w.parse().ok()).filter(|p| *p != 0) else {
        return next;
    };
    let address = words.nth(2).and_then(|w| w.parse().ok()).unwrap_or(rtp.ip());
    SocketAddr::new(address, port)
}

/// What the other side asks for, in whole 10 ms, within its maximum.
fn ptime(line: &MediaLine, default: u16) -> u16 {
    let number = |name| line.values(name).next().and_then(|v| v.parse::<u16>().ok());
    let most = number("maxptime").map_or(60, |m| m.clamp(10, 60));
    let asked = number("ptime").unwrap_or(default).clamp(10, 60);
    asked.min(most) / 10 * 10
}
