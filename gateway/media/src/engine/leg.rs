//! One leg inside the engine: sockets, keys, received and sent stream, RTCP.

mod backlog;
mod path;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::{FRAME_SAMPLES, Frame};
use gateway_core::{DigitVia, Instant, LegId};

use self::backlog::Backlog;
use self::path::{Before, Handshakes};
use super::early::Early;
use super::latch::{Latch, Verdict};
use super::outbox::Outbox;
use super::ports::PortPair;
use super::recorder::Recorder;
use super::said::Said;
use super::split::{self, Ahead};
use super::strangers::{self, Strangers};
use super::tones_in::TonesIn;
use super::{EngineError, LegStats, Measures, MediaEvent};
use crate::codec::resample::{Down, NARROW};
use crate::codec::{self, Encoder};
use crate::dtmf_tone::EchoGuard;
use crate::ice::{Agent, Component};
use crate::jitter::{Content, Inserted};
use crate::playout::{Decoders, Playout};
use crate::rtcp::{self, Item, SenderInfo};
use crate::rtp;
use crate::sdp::{Agreed, COMFORT, Direction, Quiet};
use crate::silence::{Say, Silence};
use crate::srtp::{Protect, Unprotect};
use crate::stats::{self, Reception};
use crate::telephone_event::{Clocks, EventReceiver, EventSender};
use crate::tones::TonePlayer;

/// Packets of the other side taken from a leg's sockets between two ticks; a call has 1 or 2. What strangers send has a
/// budget of its own ([`Strangers`]).
pub(super) const BUDGET: u16 = 64;
/// Largest packet; a longer one is cut and then fails.
pub(super) const MTU: usize = 2_048;
/// Samples of the longest packet we send: 60 ms at 16 kHz.
const MAX_SAMPLES: usize = 960;
/// Mean time between two reports.
const REPORTS: Duration = Duration::from_secs(5);

/// Ticks in a second.
const A_SECOND: u32 = 100;
/// Ticks missed after which what is heard next is too old to act on.
const STANDSTILL: u32 = 50;

pub(super) struct LegParams {
    pub(super) jitter_start: Duration,
    pub(super) jitter_max: Duration,
    pub(super) measures: Arc<Measures>,
    pub(super) media_timeout: Duration,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) cname: String,
}

/// What is agreed, with the contexts of its keys and the codecs of its formats.
pub(super) struct Transport {
    agreed: Agreed,
    protection: Protection,
    /// Where the other side reaches us, and wants to be reached.
    ice: Option<Agent>,
    /// Where it was reached before it began ICE anew.
    before: Before,
    encoder: Box<dyn Encoder>,
    /// On their way to the playout; then those that it no longer uses.
    decoders: Decoders,
}

/// How media is protected.
enum Protection {
    /// Its keys are not there yet: nothing is sent, and nothing taken.
    Awaited,
    Clear,
    Keyed(Box<(Protect, Unprotect)>),
}

impl Transport {
    pub(super) fn new(leg: LegId, agreed: &Agreed) -> Result<Self, EngineError> {
        let keys = |source| EngineError::Keys { leg, source };
        let codec = |source| EngineError::Codec { leg, source };
        let protection = match (&agreed.srtp, &agreed.dtls) {
            (None, None) => Protection::Clear,
            (None, Some(_)) => Protection::Awaited,
            (Some(k), _) => Protection::Keyed(Box::new((
                Protect::new(k.suite, &k.local).map_err(keys)?,
                Unprotect::new(k.suite, &k.remote).map_err(keys)?,
            ))),
        };
        Ok(Self {
            agreed: agreed.clone(),
            protection,
            ice: agreed.ice.clone().map(Agent::new),
            before: Before::default(),
            encoder: codec::encoder(agreed.send.1, &agreed.opus).map_err(codec)?,
            decoders: Decoders::new(&agreed.receive).map_err(codec)?,
        })
    }

    /// Where the other side wants to be reached, if it has chosen; until it has chosen anew, where it was reached before.
    fn target(&self, component: Component) -> Option<SocketAddr> {
        let chosen = self.ice.as_ref()?.target(component);
        chosen.or_else(|| self.before.target(component))
    }

    /// Keeps the contexts of keys that did not change: they hold the roll-over counters. And the encoder, if it makes
    /// the same, also in length: an encoder of Opus that is given frames of another length makes noise of them. Then the
    /// stream goes on. True if it does.
    fn adopt(&mut self, now: Instant, old: &mut Self) -> bool {
        if let (Some(keys), Protection::Keyed(new), Protection::Keyed(before)) =
            (&self.agreed.srtp, &mut self.protection, &mut old.protection)
        {
            if before.0.is_of(keys.suite, &keys.local) {
                std::mem::swap(&mut new.0, &mut before.0);
            }
            if before.1.is_of(keys.suite, &keys.remote) {
                std::mem::swap(&mut new.1, &mut before.1);
            }
        }
        // with the same credentials what was chosen stays
        if let (Some(new), Some(before)) = (&self.ice, &old.ice) {
            if new.agreement().continues(before.agreement()) {
                std::mem::swap(&mut self.ice, &mut old.ice);
                self.before = old.before;
            } else {
                self.before = Before::new(now, Component::ALL.map(|component| old.target(component)));
            }
        }
        let made = |agreed: &Agreed| (agreed.send.1, agreed.opus, agreed.ptime_ms);
        let same = made(&self.agreed) == made(&old.agreed);
        if same {
            std::mem::swap(&mut self.encoder, &mut old.encoder);
        }
        same
    }
}

/// When a packet came, and whether what it says still counts.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// For the dates of packets that waited.
    pub(super) ahead: Ahead,
    /// When it is handled.
    pub(super) now: Instant,
    /// The earliest it can have come.
    pub(super) at: Instant,
    /// The engine stood still before; digits are not told.
    pub(super) stale: bool,
}

pub(super) struct Leg {
    pub(super) id: LegId,
    /// Number of the leg in the poll set.
    pub(super) token: u64,
    pub(super) ports: PortPair,
    /// Index of the line it is connected to.
    pub(super) line: Option<usize>,
    /// It stands in the place of that line's wires.
    pub(super) stands_in: bool,
    /// Nobody has answered: what it sends may be heard, and nothing of it counts.
    pub(super) is_early: bool,
    /// Its talk is to be recorded once it has one, and this is to be played then.
    pub(super) to_record: Option<(Box<Recorder>, Arc<[i16]>)>,
    pub(super) tones: TonePlayer,
    /// What it is told beside them.
    pub(super) told: Said,
    /// What the other side says in this tick.
    pub(super) heard: Frame,
    /// Was it made up for lost packets? `None`: nothing is to be heard.
    made_up: Option<bool>,
    /// What went to the other side last.
    spoken: Frame,
    /// Packets it may still read before the next tick.
    pub(super) budget: u16,
    /// Packets of others, and how many it may still read.
    pub(super) strangers: Strangers,
    /// What may wait in the sockets.
    pub(super) backlog: Backlog,
    params: LegParams,
    transport: Option<Box<Transport>>,
    latch: Latch,
    playout: Playout,
    /// Ticks in which something could be played.
    played: u32,
    /// What came before the answer.
    early: Early,
    handshakes: Handshakes,
    /// When a router on the way is reminded of us next.
    remind: Option<Instant>,
    digits_in: EventReceiver,
    digits_out: EventSender,
    /// Telephone-events were agreed on at some time.
    had_events: bool,
    /// Listens to the speech where no telephone-events are agreed on.
    tones_in: TonesIn,
    reception: Option<Reception>,
    /// Loss counted by sources before the present one.
    lost_before: u64,
    down: Down,
    /// What the next packet holds so far, at the encoder's rate.
    said: [i16; MAX_SAMPLES],
    filled: usize,
    packet: Vec<u8>,
    marker: bool,
    /// Whether there is anything to be said.
    silence: Silence,
    octets: u32,
    reported: u64,
    next_report: Option<Instant>,
    random: u32,
    last_heard: Instant,
    /// Since when it is agreed what is heard.
    listens: Option<Instant>,
    timed_out: bool,
    stats: LegStats,
}

/// Which sockets of a leg are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// What waits for the tick.
    Audio,
    Rtcp,
    Rtp,
}

impl Leg {
    pub(super) fn new(id: LegId, ports: PortPair, params: LegParams) -> Self {
        Self {
            id,
            token: 0,
            ports,
            line: None,
            stands_in: false,
            is_early: false,
            to_record: None,
            tones: TonePlayer::default(),
            told: Said::default(),
            heard: [0; FRAME_SAMPLES],
            made_up: None,
            spoken: [0; FRAME_SAMPLES],
            budget: BUDGET,
            strangers: Strangers::default(),
            backlog: Backlog::default(),
            transport: None,
            latch: Latch::new(Instant::ZERO),
            playout: Playout::new(params.jitter_start, params.jitter_max),
            played: 0,
            early: Early::default(),
            handshakes: Handshakes::default(),
            remind: None,
            digits_in: EventReceiver::default(),
            digits_out: EventSender::default(),
            had_events: false,
            tones_in: TonesIn::default(),
            reception: None,
            lost_before: 0,
            down: Down::default(),
            said: [0; MAX_SAMPLES],
            filled: 0,
            packet: Vec::with_capacity(MTU),
            marker: true,
            silence: Silence::default(),
            octets: 0,
            reported: 0,
            next_report: None,
            random: params.ssrc,
            last_heard: Instant::ZERO,
            listens: None,
            timed_out: false,
            stats: LegStats::default(),
            params,
        }
    }

    /// Takes what is agreed; gives back what it replaces.
    pub(super) fn update(&mut self, now: Instant, mut transport: Box<Transport>) -> Option<Box<Transport>> {
        let goes_on = self
            .transport
            .as_mut()
            .is_some_and(|old| transport.adopt(now, old));
        if !goes_on {
            self.filled = 0;
        }
        let agreed = &transport.agreed;
        let signalling = agreed.signalling.map(|address| address.to_canonical());
        self.latch.bind(!agreed.symmetric && agreed.ice.is_none());
        match transport.target(Component::Rtp) {
            Some(chosen) => self.latch.announce(chosen, Some(chosen.ip())),
            None => self.latch.announce(canonical(agreed.remote_rtp), signalling),
        }
        let audio = agreed.receive.iter().map(|(kind, _)| *kind);
        let audio = audio.chain([COMFORT]).chain(agreed.comfort);
        self.ports
            .sort(audio.filter(|kind| !agreed.receive_events.contains(kind)));
        // a key, or a check of ICE, may come from anywhere
        let keyed = agreed.symmetric && (agreed.srtp.is_some() || agreed.dtls.is_some());
        let anywhere = keyed || agreed.ice.is_some();
        let binds = self.latch.binds().filter(|_| !anywhere);
        let reports = canonical(agreed.remote_rtcp).ip();
        // who is heard already goes on being heard, though the signalling comes from elsewhere now
        let latched = self.latch.source().map(|source| source.ip());
        self.ports
            .admit(binds.map_or([None; strangers::MOST], |[announced, signalling]| {
                [announced, signalling, Some(reports), latched]
            }));
        let before = self.transport.as_ref().map(|old| old.agreed.remote_rtp);
        self.handshakes
            .announce(before.map(canonical), canonical(agreed.remote_rtp));
        transport.decoders = self.playout.set_decoders(std::mem::take(&mut transport.decoders));
        self.last_heard = now;
        self.listens.get_or_insert(now);
        self.had_events |= !agreed.receive_events.is_empty();
        self.tones_in.begin_anew();
        self.timed_out = false;
        self.next_report.get_or_insert(now + REPORTS / 2);
        self.transport.replace(transport)
    }

    /// Whether it is answered. What was heard of it before the answer leaves the line with that, and no key of it counts.
    pub(super) fn set_early(&mut self, now: Instant, early: bool) {
        if self.is_early && !early {
            self.line = None;
            self.listens = self.listens.map(|_| now);
            self.last_heard = now;
            self.tones_in.begin_anew();
        }
        self.is_early = early;
    }

    /// Queues a press; it is dropped if the other side takes no telephone-events.
    pub(super) fn press(&mut self, code: u8, length: Duration) {
        if self
            .transport
            .as_ref()
            .is_some_and(|t| t.agreed.send_events.is_some())
        {
            self.digits_out.press(code, length);
        }
    }

    /// Reads what waits in the socket that may have something, and what was left in others, as far as the budget goes.
    pub(super) fn read(
        &mut self,
        arrival: Arrival,
        which: Which,
        guard: Option<&EchoGuard>,
        out: &mut Outbox,
    ) {
        let mut buffer = [0u8; MTU];
        for each in [Which::Rtp, Which::Audio, Which::Rtcp] {
            let left = self.backlog.take(each);
            if left.is_none() && which != each && which != Which::All {
                continue;
            }
            let arrival = Arrival {
                at: left.map_or(arrival.at, |since| arrival.at.min(since)),
                ..arrival
            };
            loop {
                if self.budget == 0 || !self.strangers.may_come(each) {
                    // the other sockets have their turn
                    self.backlog.note(each, arrival.at);
                    break;
                }
                match self.receive(each, &mut buffer, arrival) {
                    Ok((len, from, arrival)) => {
                        let from = canonical(from);
                        self.spend(each, from);
                        let packet = buffer.get(..len).unwrap_or_default();
                        let control = each == Which::Rtcp;
                        self.packet_in(arrival, from, packet, control, guard, out);
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    // Nothing more, or an ICMP error of an earlier packet, which empties itself.
                    Err(_) => break,
                }
            }
        }
    }

    /// Takes one packet that waited for the tick; false if there is none, or the budget is used up.
    pub(super) fn read_audio(
        &mut self,
        arrival: Arrival,
        buffer: &mut [u8],
        guard: Option<&EchoGuard>,
        out: &mut Outbox,
    ) -> bool {
        if self.budget == 0 || !self.strangers.may_come(Which::Audio) {
            return false;
        }
        let Ok((len, from, arrival)) = self.receive(Which::Audio, buffer, arrival) else {
            return false;
        };
        let from = canonical(from);
        self.spend(Which::Audio, from);
        let packet = buffer.get(..len).unwrap_or_default();
        self.packet_in(arrival, from, packet, false, guard, out);
        true
    }

    /// A packet was taken: it is the other side's, by where it comes from, or a stranger's, and counts as that.
    fn spend(&mut self, which: Which, from: SocketAddr) {
        let source = self.transport.as_ref().and_then(|t| t.target(Component::Rtp));
        let own = if which == Which::Rtcp {
            let known = self.latch.source().or(source).map(|s| s.ip());
            let announced = self
                .transport
                .as_ref()
                .map(|t| canonical(t.agreed.remote_rtcp).ip());
            [known, announced].contains(&Some(from.ip()))
        } else {
            self.latch.expects(from) || source == Some(from)
        };
        if own {
            self.budget -= 1;
        } else {
            self.strangers.note(which);
        }
    }

    /// The next packet of a socket; one that waited has its own time.
    fn receive(
        &self,
        which: Which,
        buffer: &mut [u8],
        arrival: Arrival,
    ) -> std::io::Result<(usize, SocketAddr, Arrival)> {
        let socket = match (which, &self.ports.audio) {
            (Which::Audio, Some(audio)) => {
                let (len, from, came) = split::receive(audio, buffer, arrival.now, arrival.ahead)?;
                let at = arrival.at.min(came);
                return Ok((
                    len,
                    from,
                    Arrival {
                        now: came,
                        at,
                        ..arrival
                    },
                ));
            }
            (Which::Audio, None) => return Err(std::io::ErrorKind::WouldBlock.into()),
            (Which::Rtcp, _) => &self.ports.rtcp,
            (Which::All | Which::Rtp, _) => &self.ports.rtp,
        };
        let (len, from) = socket.recv_from(buffer)?;
        Ok((len, from, arrival))
    }

    fn packet_in(
        &mut self,
        arrival: Arrival,
        from: SocketAddr,
        packet: &[u8],
        control: bool,
        guard: Option<&EchoGuard>,
        out: &mut Outbox,
    ) {
        if self.other_in(arrival, from, packet, control, out) {
            return;
        }
        if !control {
            self.ports.note(false, packet, from);
        }
        let taken = if control || rtp::is_rtcp(packet) {
            self.report_in(arrival.now, from, packet)
        } else {
            self.media_in(arrival, from, packet, guard, out)
        };
        if taken {
            self.last_heard = arrival.now;
            self.timed_out = false;
        } else {
            self.stats.discarded += 1;
        }
    }

    fn media_in(
        &mut self,
        arrival: Arrival,
        from: SocketAddr,
        packet: &[u8],
        guard: Option<&EchoGuard>,
        out: &mut Outbox,
    ) -> bool {
        if self.is_early || self.transport.is_none() {
            self.early.note(packet);
        }
        let Some(transport) = &mut self.transport else {
            return false;
        };
        let decrypted;
        let (packet, authentic) = match &mut transport.protection {
            Protection::Awaited => return false,
            Protection::Clear => (packet, false),
            Protection::Keyed(keys) => match keys.1.rtp(packet) {
                Ok(p) => {
                    decrypted = p;
                    (&decrypted[..], true)
                }
                Err(_) => return false,
            },
        };
        // with ICE whoever speaks has passed a check, or knows the key
        let stranger = |ice: &Agent| !ice.knows(from) && !transport.before.knows(from);
        if !authentic && transport.ice.as_ref().is_some_and(stranger) {
            return false;
        }
        let Ok((header, payload)) = rtp::parse(packet) else {
            return false;
        };
        let kind = header.payload_type;
        let digits = transport.agreed.receive_events.contains(&kind);
        let clock = self.playout.clock(kind);
        let audio = clock.is_some();
        if !digits && !audio && kind != COMFORT && Some(kind) != transport.agreed.comfort {
            return false;
        }
        match self
            .latch
            .packet(arrival.now, from, header.ssrc, header.sequence, authentic)
        {
            Verdict::Refused => return false,
            Verdict::Current => {}
            Verdict::Fresh => {
                // The same stream from another address goes on; a held key stays one press.
                if self.reception.as_ref().map(Reception::ssrc) != Some(header.ssrc) {
                    self.lost_before = self.lost();
                    let clock = clock.unwrap_or(8_000);
                    self.reception = Some(Reception::new(header.ssrc, clock, header.sequence));
                    self.playout.reset();
                    self.digits_in = EventReceiver::default();
                }
                out.push(MediaEvent::Source {
                    at: arrival.at,
                    leg: self.id,
                    source: from,
                });
            }
        }
        self.stats.received += 1;
        if let Some(r) = &mut self.reception {
            r.packet(arrival.now, header.sequence, header.timestamp, clock);
        }
        let content = if digits {
            Content::Nothing
        } else if audio {
            Content::Audio(kind)
        } else {
            Content::Comfort
        };
        let held = if digits { &[][..] } else { payload };
        match self.playout.insert(arrival.now, header.sequence, content, held) {
            Inserted::Duplicate => self.stats.duplicate += 1,
            Inserted::Late => self.stats.late += u64::from(!digits),
            Inserted::Taken => {}
            Inserted::Malformed | Inserted::TooLarge => return false,
        }
        if digits
            && let Some(press) = self.digits_in.handle(
                arrival.at,
                header.sequence,
                header.timestamp,
                header.marker,
                payload,
            )
        {
            // nobody had heard who answers
            let since = self.listens.map(|since| arrival.now.since(since));
            let early = since.is_some_and(|since| self.early.has(&press, &header, since));
            let anybody = !authentic && !self.latch.counts_keys();
            if self.is_early {
                // what is pressed before the answer is nobody's key
            } else if arrival.stale || early || anybody {
                self.stats.stale_digits += 1;
            } else {
                out.push(MediaEvent::Digit {
                    at: press.at,
                    digit: press.digit,
                    echo: guard.is_some_and(|g| g.is_echo(press.at, press.digit)),
                    leg: self.id,
                    via: DigitVia::TelephoneEvent,
                });
            }
        }
        true
    }

    fn report_in(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> bool {
        let Some(transport) = &mut self.transport else {
            return false;
        };
        let decrypted;
        let packet = match &mut transport.protection {
            Protection::Awaited => return false,
            Protection::Clear => {
                let known = [
                    self.latch.source().map(|s| s.ip()),
                    Some(canonical(transport.agreed.remote_rtcp).ip()),
                ];
                if !known.contains(&Some(from.ip())) {
                    return false;
                }
                packet
            }
            Protection::Keyed(keys) => match keys.1.rtcp(packet) {
                Ok(p) => {
                    decrypted = p;
                    &decrypted[..]
                }
                Err(_) => return false,
            },
        };
        let (own, reception, numbers) = (self.params.ssrc, &mut self.reception, &mut self.stats);
        rtcp::read(packet, |item| match item {
            // The end of a call is SIP's matter.
            Item::Bye { .. } => {}
            Item::Report { block, .. } => {
                if block.ssrc == own {
                    numbers.remote_lost = u32::try_from(block.lost).unwrap_or(0);
                    if let Some(rtt) = stats::round_trip(now, &block) {
                        numbers.round_trip_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
                    }
                }
            }
            Item::Sender { ssrc, info } => {
                if let Some(r) = reception
                    && r.ssrc() == ssrc
                {
                    r.sender_report(now, info.ntp);
                }
            }
        })
    }

    /// Takes the next 10 ms of the other side into `heard`.
    pub(super) fn hear(&mut self, now: Instant, out: &mut Outbox) {
        self.budget = BUDGET;
        self.made_up = None;
        self.strangers.tick();
        self.handshakes.tick();
        let direction = self.transport.as_ref().map(|t| t.agreed.direction);
        // whoever put us on hold may be silent for as long as the hold lasts, and a phone that rings as long as it does
        if self.is_early || direction.is_none_or(|direction| !direction.sends() || !direction.receives()) {
            self.last_heard = now;
        }
        if !direction.is_some_and(Direction::receives) {
            self.heard.fill(0);
            return;
        }
        self.played = self.played.wrapping_add(1);
        if self.played.is_multiple_of(A_SECOND)
            && let Some(delay) = self.playout.delay()
        {
            self.params.measures.buffered.note(delay);
        }
        let concealed = self.playout.concealed();
        self.playout.play(now, &mut self.heard);
        self.made_up = Some(self.playout.concealed() != concealed);
        let limit = self.params.media_timeout;
        if !limit.is_zero() && !self.timed_out && now.since(self.last_heard) >= limit {
            self.timed_out = true;
            out.push(MediaEvent::Timeout {
                at: now,
                leg: self.id,
            });
        }
    }

    /// Looks for a key in what was heard, unless that was made up for lost packets. It is no part of [`Self::hear`]: what is to
    /// be sent need not wait for it.
    pub(super) fn listen(&mut self, now: Instant, guard: Option<&EchoGuard>, out: &mut Outbox) {
        if self.is_early || !self.keys_are_tones() {
            return;
        }
        self.tones_in.say(now, &self.spoken);
        match self.made_up {
            None => {}
            Some(true) => self.tones_in.miss(),
            Some(false) => {
                if let Some((at, digit, echo)) = self.tones_in.hear(now, &self.heard, guard)
                    && self.is_who_answered()
                {
                    out.push(MediaEvent::Digit {
                        at,
                        digit,
                        echo,
                        leg: self.id,
                        via: DigitVia::Inband,
                    });
                }
            }
        }
    }

    /// Is what is heard said by whom the call is with, and not by anybody else at the same PBX?
    fn is_who_answered(&self) -> bool {
        let keyed = |t: &Transport| matches!(t.protection, Protection::Keyed(_));
        self.transport.as_deref().is_some_and(keyed) || self.latch.counts_keys()
    }

    /// Is there, and was there in the whole call, nothing agreed by which keys could come but the speech? And is it
    /// speech, not what somebody is played who was put on hold?
    fn keys_are_tones(&self) -> bool {
        let talks = |t: &Transport| t.agreed.direction.sends() && t.agreed.direction.receives();
        !self.had_events && self.transport.as_deref().is_some_and(talks)
    }

    /// Sends 10 ms to the other side, in packets of the agreed length.
    pub(super) fn say(&mut self, now: Instant, frame: &Frame) {
        self.spoken = *frame;
        let (rate, ptime) = self.transport.as_ref().map_or((8_000, 20), |t| {
            (t.encoder.sample_rate(), usize::from(t.agreed.ptime_ms))
        });
        let mut narrow = [0; NARROW];
        let piece: &[i16] = if rate == 8_000 {
            self.down.process(frame, &mut narrow);
            &narrow
        } else {
            frame
        };
        if let Some(room) = self.said.get_mut(self.filled..self.filled + piece.len()) {
            room.copy_from_slice(piece);
            self.filled += piece.len();
        }
        if self.filled >= ptime * (rate / 1_000) as usize {
            self.send_packet(rate);
            self.filled = 0;
        }
        if self.next_report.is_some_and(|at| at <= now) {
            self.send_report(now, false);
            // Half to one and a half times the mean, so that calls do not report in step (RFC 3550 §6.3.1).
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let spread = REPORTS * (self.random >> 16) / 65_536;
            self.next_report = Some(now + REPORTS / 2 + spread);
        }
    }

    /// Sends what was said, in samples of `rate` Hz.
    fn send_packet(&mut self, rate: u32) {
        let samples = u32::try_from(self.filled).unwrap_or(0);
        let timestamp = self.params.timestamp;
        let clock = self.clock();
        let ticks = samples * (clock / 1_000) / (rate / 1_000);
        self.params.timestamp = timestamp.wrapping_add(ticks);
        let Some(transport) = &mut self.transport else {
            return;
        };
        let agreed = &transport.agreed;
        let to = match &transport.ice {
            Some(_) => transport.target(Component::Rtp),
            None => Some(self.latch.source().filter(|_| agreed.symmetric))
                .map(|source| source.unwrap_or(agreed.remote_rtp))
                .filter(|_| !agreed.remote_rtp.ip().is_unspecified()),
        };
        let awaited = matches!(transport.protection, Protection::Awaited);
        let to = to.filter(|to| agreed.direction.sends() && !awaited && to.port() != 0);
        let Some(to) = to else {
            self.marker = true;
            return;
        };
        let digit = agreed.send_events.and_then(|events| {
            let clocks = Clocks {
                audio: clock,
                events: events.clock,
            };
            let event = self.digits_out.next(timestamp, ticks, clocks)?;
            Some((events.payload_type, event))
        });
        let spoken = &self.said[..self.filled];
        let say = match agreed.quiet {
            Some(_) if digit.is_none() => self.silence.next(spoken, samples * 1_000 / rate),
            Some(_) | None => Say::Speech,
        };
        if say == Say::Nothing {
            // what is said next begins anew
            self.marker = true;
            return;
        }
        let mut header = rtp::Header {
            padding: false,
            marker: self.marker,
            payload_type: agreed.send.0,
            sequence: self.params.sequence,
            timestamp,
            ssrc: self.params.ssrc,
        };
        self.packet.clear();
        if let Some((kind, event)) = digit {
            header.marker = event.marker;
            header.payload_type = kind;
            header.timestamp = event.timestamp;
            self.packet.extend(header.to_bytes());
            self.packet.extend(event.payload);
            self.marker = true;
        } else if let (Say::Noise(level), Some(Quiet::Comfort(kind))) = (say, agreed.quiet) {
            header.marker = false;
            header.payload_type = kind;
            self.packet.extend(header.to_bytes());
            self.packet.push(level);
            self.marker = true;
        } else {
            self.packet.extend(header.to_bytes());
            let encoded = transport.encoder.encode(spoken, &mut self.packet);
            if encoded.is_err() {
                self.marker = true;
                return;
            }
            self.marker = false;
        }
        self.params.sequence = self.params.sequence.wrapping_add(1);
        let octets = u32::try_from(self.packet.len() - rtp::HEADER_LEN).unwrap_or(0);
        let sent = match &mut transport.protection {
            Protection::Awaited => false,
            Protection::Clear => self.ports.send(false, &self.packet, to),
            Protection::Keyed(keys) => keys
                .0
                .rtp(&self.packet)
                .is_ok_and(|p| self.ports.send(false, &p, to)),
        };
        if sent {
            self.stats.sent += 1;
            self.octets = self.octets.wrapping_add(octets);
        }
    }

    fn send_report(&mut self, now: Instant, bye: bool) {
        let Some(transport) = &mut self.transport else {
            return;
        };
        let sender = (self.stats.sent > self.reported).then(|| SenderInfo {
            ntp: stats::ntp(now),
            rtp: self.params.timestamp,
            packets: u32::try_from(self.stats.sent & 0xffff_ffff).unwrap_or(0),
            octets: self.octets,
        });
        self.reported = self.stats.sent;
        let block = self.reception.as_mut().map(|r| r.report(now));
        rtcp::write(
            &mut self.packet,
            self.params.ssrc,
            sender.as_ref(),
            block.as_ref(),
            &self.params.cname,
            bye,
        );
        let agreed = &transport.agreed;
        let source = self.latch.source().filter(|_| agreed.symmetric);
        let announced = canonical(agreed.remote_rtcp);
        // a port of its own would need a handshake of its own (RFC 5764 §4.1)
        if agreed.dtls.is_some() && !agreed.rtcp_mux {
            return;
        }
        let component = if agreed.rtcp_mux {
            Component::Rtp
        } else {
            Component::Rtcp
        };
        let (control, to) = if transport.ice.is_some() {
            let Some(to) = transport.target(component) else {
                return;
            };
            (!agreed.rtcp_mux, to)
        } else if agreed.rtcp_mux {
            (false, source.unwrap_or(announced))
        } else {
            let to = match source {
                // Behind a NAT the announced address leads nowhere.
                Some(s) if s.ip() != announced.ip() => SocketAddr::new(s.ip(), s.port().saturating_add(1)),
                Some(_) | None => announced,
            };
            (true, to)
        };
        if to.ip().is_unspecified() || to.port() == 0 {
            return;
        }
        // A lost report is replaced by the next one.
        let _ = match &mut transport.protection {
            Protection::Awaited => false,
            Protection::Clear => self.ports.send(control, &self.packet, to),
            Protection::Keyed(keys) => keys
                .0
                .rtcp(&self.packet)
                .is_ok_and(|p| self.ports.send(control, &p, to)),
        };
    }

    /// RTP clock of what we send, Hz.
    fn clock(&self) -> u32 {
        self.transport
            .as_ref()
            .map_or(8_000, |t| t.agreed.send.1.clock_rate())
    }

    /// 10 ms that were missed: time goes on, nothing is sent for them.
    pub(super) fn skip(&mut self, ticks: u32) {
        let missed = ticks.wrapping_mul(self.clock() / 100);
        self.params.timestamp = self.params.timestamp.wrapping_add(missed);
        self.marker = true;
        if ticks >= STANDSTILL {
            // what is heard next is old
            self.tones_in = TonesIn::default();
        }
    }

    /// Says goodbye and tells the numbers.
    pub(super) fn close(&mut self, now: Instant) -> LegStats {
        if self.stats.sent > 0 || self.stats.received > 0 {
            self.send_report(now, true);
        }
        let mut stats = self.stats;
        stats.lost = self.lost();
        stats.strangers = self.strangers.count;
        stats.concealed = self.playout.concealed();
        stats.jitter_us = self
            .reception
            .as_ref()
            .map_or(0, |r| u32::try_from(r.jitter().as_micros()).unwrap_or(u32::MAX));
        stats
    }

    fn lost(&self) -> u64 {
        let present = self.reception.as_ref().map_or(0, Reception::lost);
        self.lost_before + u64::try_from(present).unwrap_or(0)
    }
}

/// An IPv4 source seen by an IPv6 socket is written as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
