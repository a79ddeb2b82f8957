//! The engine's thread: sockets and commands as they come, audio every 10 ms.
//!
//! Packets are handled when they arrive, also in the middle of a tick: a digit is told within a fraction of a
//! millisecond. Only audio waits for the tick that plays it (see [`split`](super::split)). Without legs and tones the
//! timer is off and the thread sleeps.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Duration;

use adapter_api::{FRAME_SAMPLES, Frame};
use gateway_core::{Instant, LegId, LineId, Volume};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::MediaEvent;
use super::command::{Command, Used};
use super::leg::{Arrival, Leg, MTU, Which};
use super::line::Line;
use super::outbox::Outbox;
use super::split::Ahead;
use crate::dtmf_tone::EchoGuard;
use crate::mixer;

pub(super) type Sink = Box<dyn FnMut(MediaEvent) -> Result<(), MediaEvent> + Send>;

/// Legs at one time.
const MAX_LEGS: usize = 256;
/// Lines at one time.
const MAX_LINES: usize = 256;
/// Tick.
const TICK: Duration = Duration::from_millis(10);
/// Ticks made up for after a delay; more are skipped.
const CATCH_UP: u64 = 4;
/// After a longer stand-still digits that waited are thrown away.
const STALE: Duration = Duration::from_millis(500);
/// Up to here a packet is dated when it is read.
const PROMPT: Duration = Duration::from_millis(20);
/// Legs whose sound is sent before it is seen whether something has arrived: sending takes some microseconds each.
const BETWEEN: usize = 4;
/// Packets of one leg thrown away at once after a stand-still.
const STALE_PACKETS: u16 = 4_096;

const TIMER: u64 = 0;
const WAKE: u64 = 1;
const FIRST_LEG: u64 = 2;

/// Room for what the poll set tells at once.
const NOTHING: [epoll::Event; 64] = [epoll::Event {
    flags: EventFlags::empty(),
    data: EventData::new_u64(0),
}; 64];

/// No wait.
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// `CLOCK_BOOTTIME`.
pub(super) fn boottime() -> Instant {
    let t = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(t.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

pub(super) struct Run {
    poll: OwnedFd,
    /// The sockets of audio; looked at by the tick, waited for by nobody.
    audio: OwnedFd,
    buffer: Box<[u8; MTU]>,
    timer: OwnedFd,
    wake: Arc<OwnedFd>,
    ticking: bool,
    inbox: Receiver<Command>,
    grave: SyncSender<Used>,
    sink: Sink,
    out: Outbox,
    legs: Vec<Box<Leg>>,
    /// Slots, so that legs can name a line by its index.
    lines: Vec<Option<Box<Line>>>,
    next_token: u64,
    /// Of lines that are there, and of those that may come.
    volumes: Vec<(LineId, Volume)>,
}

impl Run {
    pub(super) fn new(
        sink: Sink,
        inbox: Receiver<Command>,
        grave: SyncSender<Used>,
        wake: Arc<OwnedFd>,
    ) -> Result<Self, Errno> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        epoll::add(&poll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(&poll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            poll,
            audio: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            buffer: Box::new([0; MTU]),
            timer,
            wake,
            ticking: false,
            inbox,
            grave,
            sink,
            out: Outbox::new(MAX_LEGS),
            legs: Vec::with_capacity(MAX_LEGS),
            lines: Vec::with_capacity(MAX_LINES),
            next_token: FIRST_LEG,
            volumes: Vec::with_capacity(MAX_LINES),
        })
    }

    pub(super) fn run(mut self) {
        let mut ready = NOTHING;
        let retry = Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        };
        // The time after the last wait: what is read next came later than the reading that followed it.
        let mut last = boottime();
        loop {
            let ticking = self.ticking;
            // While ticking the timer ends the wait; else events that the sink refused are offered again.
            let timeout = (!ticking && !self.out.is_empty()).then_some(&retry);
            let count = match epoll::wait(&self.poll, &mut ready, timeout) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let now = boottime();
            let before = std::mem::replace(&mut last, now);
            let arrival = arrival(before, now, ticking);
            let mut ticks = 0;
            if arrival.stale {
                for n in 0..self.legs.len() {
                    self.legs[n].budget = STALE_PACKETS;
                    self.legs[n].strangers.raise(STALE_PACKETS);
                    self.read(n, arrival, Which::All);
                }
            }
            for event in &ready[..count] {
                match event.data.u64() {
                    TIMER => ticks = drain(&self.timer),
                    WAKE => {
                        drain(&self.wake);
                    }
                    token => self.arrived(token, arrival),
                }
            }
            if !self.commands(now) {
                return;
            }
            self.ticks(now, ticks);
            self.flush();
        }
    }

    /// Reads the socket of a leg that has something.
    fn arrived(&mut self, token: u64, arrival: Arrival) {
        if let Some(n) = self.legs.iter().position(|l| l.token == token / 2 * 2) {
            let which = if token.is_multiple_of(2) {
                Which::Rtp
            } else {
                Which::Rtcp
            };
            self.read(n, arrival, which);
        }
    }

    /// In the middle of the tick that began at `tick`: reads what cannot wait for its end.
    fn between(&mut self, tick: Instant) {
        let mut ready = NOTHING;
        let Ok(count) = epoll::wait(&self.poll, &mut ready, Some(&AT_ONCE)) else {
            return;
        };
        if count == 0 {
            return;
        }
        let arrival = arrival(tick, boottime(), true);
        for event in &ready[..count] {
            // the timer and commands are told again after the tick
            if event.data.u64() >= FIRST_LEG {
                self.arrived(event.data.u64(), arrival);
            }
        }
    }

    fn read(&mut self, leg: usize, arrival: Arrival, which: Which) {
        let Self { legs, lines, out, .. } = self;
        let leg = &mut legs[leg];
        let guard = guard_of(leg, lines);
        leg.read(arrival, which, guard, out);
        // a digit does not wait for the other legs, nor for what else is to be done
        self.flush();
    }

    fn ticks(&mut self, now: Instant, count: u64) {
        if count == 0 {
            return;
        }
        let run = count.min(CATCH_UP);
        if count > run {
            let skipped = u32::try_from(count - run).unwrap_or(u32::MAX);
            for leg in &mut self.legs {
                leg.skip(skipped);
            }
        }
        let arrival = Arrival {
            ahead: Ahead::at(now),
            now,
            at: now,
            stale: false,
        };
        self.collect(arrival);
        for _ in 0..run {
            self.tick(now);
        }
        // Sockets are watched for edges: what the budget left over is read here, and audio that had no budget. A socket in
        // which nothing was left has an edge of its own, which dates what comes there.
        for n in 0..self.legs.len() {
            if self.legs[n].backlog.is_some() {
                self.read(n, arrival, Which::Audio);
            }
        }
    }

    /// Takes the audio that waits: of each leg one packet in turn, until there is none or the budgets are used up.
    fn collect(&mut self, arrival: Arrival) {
        let mut ready = NOTHING;
        loop {
            let Ok(count) = epoll::wait(&self.audio, &mut ready, Some(&AT_ONCE)) else {
                return;
            };
            let mut taken = false;
            for event in &ready[..count] {
                let Self {
                    buffer,
                    legs,
                    lines,
                    out,
                    ..
                } = self;
                if let Some(leg) = legs.iter_mut().find(|l| l.token == event.data.u64()) {
                    let guard = guard_of(leg, lines);
                    taken |= leg.read_audio(arrival, &mut buffer[..], guard, out);
                }
            }
            if !taken {
                break;
            }
        }
        self.flush();
    }

    fn tick(&mut self, now: Instant) {
        let Self { legs, lines, out, .. } = self;
        for line in lines.iter_mut().flatten() {
            line.connected = 0;
            line.heard = 0;
        }
        for leg in legs.iter() {
            if let Some(line) = leg.line.and_then(|l| lines.get_mut(l)).and_then(Option::as_mut) {
                if leg.is_early {
                    line.heard += 1;
                } else {
                    line.connected += 1;
                }
            }
        }
        for line in lines.iter_mut().flatten() {
            line.capture(now);
        }
        // who stands in the place of wires is heard as they are: before the others
        for stands_in in [true, false] {
            for leg in legs.iter_mut().filter(|leg| leg.stands_in == stands_in) {
                leg.hear(now, out);
                leg.check_out(now);
                if let Some(line) = leg.line.and_then(|l| lines.get_mut(l)).and_then(Option::as_mut) {
                    if stands_in {
                        line.capture_from(now, &leg.heard);
                    } else {
                        line.mix.add(&leg.heard);
                    }
                }
            }
        }
        // packets that leave are on a raster that others see: what else there is to do comes after them
        for n in 0..self.legs.len() {
            if n.is_multiple_of(BETWEEN) {
                self.between(now);
            }
            self.say(n, now);
        }
        let Self { legs, lines, out, .. } = self;
        for line in lines.iter_mut().flatten() {
            if line.is_active() {
                line.play();
            }
            if let Some((_, recorder)) = line.unwritten() {
                // nobody reads it, so that nobody waits for its end
                let _ = self.grave.try_send(Used::Recorder(recorder, None));
            }
        }
        for leg in legs.iter_mut() {
            let guard = guard_of(leg, lines);
            leg.listen(now, guard, out);
        }
    }

    /// Sends a leg what it shall hear.
    fn say(&mut self, leg: usize, now: Instant) {
        let Self { legs, lines, .. } = self;
        let leg = &mut legs[leg];
        let mut frame: Frame = [0; FRAME_SAMPLES];
        // who has not answered listens to nobody
        let place = leg.line.filter(|_| !leg.is_early);
        if let Some(line) = place.and_then(|l| lines.get(l)).and_then(Option::as_ref) {
            if leg.stands_in {
                line.say_back(&mut frame);
            } else {
                line.mix.without(Some(&leg.heard), &mut frame);
            }
        }
        let over = leg.told.next(&mut frame);
        let mut tone: Frame = [0; FRAME_SAMPLES];
        let alone = leg.tones.is_key();
        if leg.tones.next(&mut tone) {
            if alone {
                frame = tone;
            } else {
                mixer::add(&mut frame, &tone);
            }
        }
        leg.say(now, &frame);
        if let Some(sound) = over {
            self.bury(Used::Sound(sound));
        }
    }

    /// Does what was asked for; false when the last handle is gone.
    fn commands(&mut self, now: Instant) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.command(now, command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    for leg in &mut self.legs {
                        let stats = leg.close(now);
                        self.out.push(MediaEvent::Closed { leg: leg.id, stats });
                    }
                    self.flush();
                    return false;
                }
            }
        }
        let active = !self.legs.is_empty() || self.lines.iter().flatten().any(|l| l.tones.is_playing());
        if active != self.ticking {
            self.set_timer(active);
        }
        true
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::AddLine(line) => self.add_line(line),
            Command::CloseLeg(leg) => self.close(now, leg),
            Command::Connect(leg, line) => {
                self.part(leg);
                self.stop_recording(leg);
                let (id, index) = (leg, self.line(&line));
                if let (Some(leg), Some(index)) = (self.leg(leg), index) {
                    leg.line = Some(index);
                    leg.tones.stop_repeating();
                    if let Some(line) = &mut self.lines[index] {
                        line.tones.stop_repeating();
                    }
                    self.begin_recording(id);
                }
                self.bury(Used::Name(line));
            }
            Command::Disconnect(leg) => {
                self.part(leg);
                self.stop_recording(leg);
                if let Some(leg) = self.leg(leg) {
                    leg.line = None;
                }
            }
            Command::Early(leg, early) => {
                if let Some(leg) = self.leg(leg) {
                    leg.set_early(now, early);
                }
            }
            Command::Handshake(leg, datagram) => {
                if let Some(leg) = self.leg(leg) {
                    leg.send_handshake(&datagram);
                }
                self.bury(Used::Datagram(datagram));
            }
            Command::Join(leg, with, place) => self.join(leg, with, place),
            Command::MuteLine(line, length) => self.with_line(line, |l| l.mute_for(length)),
            Command::OpenLeg(leg) => self.open(leg),
            Command::PlayToLeg(leg, tone) => {
                if let Some(leg) = self.leg(leg) {
                    leg.tones.play(tone);
                }
            }
            Command::PlayToLine(line, tone) => self.with_line(line, |l| l.tones.play(tone)),
            Command::Record(leg, recorder, announcement) => {
                let unused = match self.leg(leg) {
                    Some(leg) => leg.to_record.replace((recorder, announcement)),
                    None => Some((recorder, announcement)),
                };
                if let Some((recorder, announcement)) = unused {
                    self.bury(Used::Recorder(recorder, Some(announcement)));
                }
                self.begin_recording(leg);
            }
            Command::SayToLeg(leg, samples, alone) => {
                let unused = match self.leg(leg) {
                    Some(leg) => leg.told.say(samples, alone),
                    None => Some(samples),
                };
                if let Some(samples) = unused {
                    self.bury(Used::Sound(samples));
                }
            }
            Command::SayToLine(line, samples) => self.with_line(line, |l| l.tones.say(samples)),
            Command::RemoveLine(line) => {
                if let Some(index) = self.line(&line) {
                    for leg in &mut self.legs {
                        if leg.line == Some(index) {
                            leg.line = None;
                        }
                    }
                    if let Some(old) = self.lines[index].take() {
                        self.bury(Used::Line(old));
                    }
                }
                self.bury(Used::Name(line));
            }
            Command::SendDigit(leg, code, length) => {
                if let Some(leg) = self.leg(leg) {
                    leg.press(code, length);
                }
            }
            Command::SendTones(leg, digit, length) => {
                if let Some(leg) = self.leg(leg) {
                    leg.tones.key(digit, length);
                }
            }
            Command::SetVolume(line, volume) => self.set_volume(line, volume),
            Command::SetVoice(line, voice) => {
                let index = self.line(&line);
                let line_there = index.and_then(|index| self.lines[index].as_mut());
                let old = match line_there {
                    Some(line) => line.set_voice(voice),
                    // its audio is gone; the next port is made with it
                    None => voice,
                };
                self.bury(Used::Voice(old));
                self.bury(Used::Name(line));
            }
            Command::SilenceLine(line) => self.with_line(line, |l| l.tones.stop()),
            Command::UpdateLeg(leg, transport) => {
                let used = match self.leg(leg) {
                    Some(leg) => leg.update(now, transport),
                    None => Some(transport),
                };
                if let Some(used) = used {
                    self.bury(Used::Transport(used));
                }
            }
        }
    }

    fn leg(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|l| l.id == id).map(|l| &mut **l)
    }

    fn line(&self, id: &LineId) -> Option<usize> {
        self.lines
            .iter()
            .position(|l| l.as_ref().is_some_and(|l| l.id.as_ref() == Some(id)))
    }

    /// Has two legs talk with each other, the first in the place of wires. Whoever talked with it before is left alone.
    fn join(&mut self, id: LegId, with: LegId, place: Box<Line>) {
        let before = self.leg(id).and_then(|leg| leg.line.filter(|_| leg.stands_in));
        if self.leg(id).is_none() || self.leg(with).is_none() || id == with {
            self.bury(Used::Line(place));
            return;
        }
        self.part(with);
        let index = match before {
            Some(index) => {
                self.bury(Used::Line(place));
                Some(index)
            }
            None => self.place(place),
        };
        let Some(index) = index else { return };
        for leg in &mut self.legs {
            if leg.id == id || leg.id == with {
                leg.line = Some(index);
                leg.stands_in = leg.id == id;
                leg.tones.stop_repeating();
            } else if leg.line == Some(index) {
                leg.line = None;
            }
        }
        self.begin_recording(with);
    }

    /// Records the talk of a leg that has one, if it is to be recorded, and tells everybody in it.
    fn begin_recording(&mut self, id: LegId) {
        let Some(leg) = self.leg(id) else { return };
        let Some(index) = leg.line else { return };
        let Some((recorder, announcement)) = leg.to_record.take() else {
            return;
        };
        for leg in self.legs.iter_mut().filter(|leg| leg.line == Some(index)) {
            // no tone that comes meanwhile cuts off what everybody has to know
            if let Some(waited) = leg.told.say_first(Arc::clone(&announcement)) {
                // one at most of a leg, and few legs on a line
                let _ = self.grave.try_send(Used::Sound(waited));
            }
        }
        let Some(line) = &mut self.lines[index] else {
            return;
        };
        let before = line.record(id, recorder);
        if line.has_wires() {
            line.tones.say(announcement);
        }
        if let Some((_, before)) = before {
            self.bury(Used::Recorder(before, None));
        }
    }

    /// What was recorded of a leg's talk on a line is over.
    fn stop_recording(&mut self, id: LegId) {
        let of = |line: &mut Box<Line>| line.recorder.take_if(|(of, _)| *of == id);
        let recorder = self.lines.iter_mut().flatten().find_map(of);
        if let Some((_, recorder)) = recorder {
            self.bury(Used::Recorder(recorder, None));
        }
    }

    /// A leg talks with the other one no more that it was joined with in a place of its own.
    fn part(&mut self, id: LegId) {
        let place = self.leg(id).and_then(|leg| {
            let stood_in = std::mem::take(&mut leg.stands_in);
            leg.line.filter(|_| stood_in)
        });
        let Some(index) = place else { return };
        for leg in &mut self.legs {
            if leg.line == Some(index) {
                leg.line = None;
            }
        }
        if let Some(old) = self.lines[index].take() {
            self.bury(Used::Line(old));
        }
    }

    /// Puts a line where there is room.
    fn place(&mut self, line: Box<Line>) -> Option<usize> {
        if let Some(index) = self.lines.iter().position(Option::is_none) {
            self.lines[index] = Some(line);
            return Some(index);
        }
        if self.lines.len() < MAX_LINES {
            self.lines.push(Some(line));
            return Some(self.lines.len() - 1);
        }
        self.bury(Used::Line(line));
        None
    }

    fn with_line(&mut self, id: LineId, f: impl FnOnce(&mut Line)) {
        if let Some(index) = self.line(&id)
            && let Some(line) = &mut self.lines[index]
        {
            f(line);
        }
        self.bury(Used::Name(id));
    }

    fn set_volume(&mut self, id: LineId, volume: Volume) {
        if let Some(index) = self.line(&id)
            && let Some(line) = &mut self.lines[index]
        {
            line.set_volume(volume);
        }
        let known = self.volumes.iter().position(|(of, _)| *of == id);
        match known {
            // as loud as a line is anyway
            Some(index) if volume == Volume::default() => {
                let (name, _) = self.volumes.swap_remove(index);
                self.bury(Used::Name(name));
            }
            Some(index) => self.volumes[index].1 = volume,
            None if self.volumes.len() < MAX_LINES => {
                self.volumes.push((id, volume));
                return;
            }
            None => {}
        }
        self.bury(Used::Name(id));
    }

    fn add_line(&mut self, mut line: Box<Line>) {
        let volume = self.volumes.iter().find(|(of, _)| line.id.as_ref() == Some(of));
        if let Some((_, volume)) = volume {
            line.set_volume(*volume);
        }
        match line.id.as_ref().and_then(|id| self.line(id)) {
            Some(index) => {
                if let Some(old) = self.lines[index].replace(line) {
                    self.bury(Used::Line(old));
                }
            }
            None => {
                self.place(line);
            }
        }
    }

    fn open(&mut self, mut leg: Box<Leg>) {
        leg.token = self.next_token;
        self.next_token += 2;
        let full = self.legs.len() == MAX_LEGS || self.leg(leg.id).is_some();
        let flags = EventFlags::IN | EventFlags::ET;
        let watched = !full
            && epoll::add(&self.poll, &leg.ports.rtp, EventData::new_u64(leg.token), flags).is_ok()
            && epoll::add(
                &self.poll,
                &leg.ports.rtcp,
                EventData::new_u64(leg.token + 1),
                flags,
            )
            .is_ok()
            && leg.ports.audio.as_ref().is_none_or(|socket| {
                epoll::add(&self.audio, socket, EventData::new_u64(leg.token), EventFlags::IN).is_ok()
            });
        if watched {
            self.legs.push(leg);
        } else {
            let (id, stats) = (leg.id, super::LegStats::default());
            if self.leg(id).is_none() {
                self.out.push(MediaEvent::Closed { leg: id, stats });
            }
            self.bury(Used::Leg(leg));
        }
    }

    fn close(&mut self, now: Instant, id: LegId) {
        self.part(id);
        self.stop_recording(id);
        let Some(index) = self.legs.iter().position(|l| l.id == id) else {
            return;
        };
        let mut leg = self.legs.swap_remove(index);
        let stats = leg.close(now);
        let _ = epoll::delete(&self.poll, &leg.ports.rtp);
        let _ = epoll::delete(&self.poll, &leg.ports.rtcp);
        if let Some(socket) = &leg.ports.audio {
            let _ = epoll::delete(&self.audio, socket);
        }
        self.out.push(MediaEvent::Closed { leg: id, stats });
        self.bury(Used::Leg(leg));
    }

    /// Hands something over to be dropped elsewhere; if there is no room it is dropped here.
    fn bury(&self, used: Used) {
        used.end_recordings();
        let _ = self.grave.try_send(used);
    }

    fn set_timer(&mut self, on: bool) {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(TICK.as_nanos()).unwrap_or(10_000_000),
        };
        let spec = if on {
            Itimerspec {
                it_interval: tick,
                it_value: tick,
            }
        } else {
            Itimerspec {
                it_interval: zero,
                it_value: zero,
            }
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec).is_ok() {
            self.ticking = on;
        }
    }

    fn flush(&mut self) {
        while let Some(event) = self.out.pop() {
            if let Err(refused) = (self.sink)(event) {
                self.out.put_back(refused);
                break;
            }
        }
    }
}

/// What remembers the tones of a leg's line.
fn guard_of<'l>(leg: &Leg, lines: &'l [Option<Box<Line>>]) -> Option<&'l EchoGuard> {
    let line = lines.get(leg.line.filter(|_| !leg.stands_in)?)?.as_ref()?;
    Some(&line.guard)
}

/// What comes with packets that are read at `now`, if they came at `before` at the earliest.
fn arrival(before: Instant, now: Instant, ticking: bool) -> Arrival {
    let gap = now.since(before);
    Arrival {
        ahead: Ahead::default(),
        now,
        at: if ticking && gap > PROMPT { before } else { now },
        stale: ticking && gap > STALE,
    }
}

/// Reads the counter of a timer or event descriptor; 0 if it did not fire.
fn drain(fd: &OwnedFd) -> u64 {
    let mut counter = [0u8; 8];
    match rustix::io::read(fd, &mut counter) {
        Ok(8) => u64::from_ne_bytes(counter),
        Ok(_) | Err(_) => 0,
    }
}
