//! The built-in phone of the demo: another SIP user agent of ours, which answers by itself.
//!
//! It is reached by direct IP on loopback and proves that there was a call: it counts the sound it hears.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use adapter_virtual::{Levels, Source, VirtualAudio};
use gateway_core::{Cause, LegCommand, LegEvent, LegId, LineId, PanelId};
use gateway_sip_io::{Callee, Callees, SipEngine, SipEvent, SipHandle, SipParams};
use tokio::sync::{mpsc, watch};

use crate::clock::SystemClock;
use crate::demo::story::Teller;

/// How long the called person talks before pressing 9, and after it.
const BEFORE_9: Duration = Duration::from_secs(2);
const AFTER_9: Duration = Duration::from_secs(4);

/// What the phone is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhoneState {
    /// On the hook.
    Idle,
    /// Rings.
    Ringing(LegId),
    /// Answered; both sides can hear.
    Talking(LegId),
    /// The call is over.
    Over,
}

/// A running phone.
pub(crate) struct Phone {
    levels: Arc<Levels>,
    sip: SipHandle,
    state: watch::Receiver<PhoneState>,
}

impl Phone {
    /// Starts the phone on a free port of 127.0.0.1 that was found before.
    pub(crate) async fn start(port: u16) -> anyhow::Result<Self> {
        let line = LineId::new("phone")?;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let params = SipParams {
            bind: loopback,
            udp_port: port,
            tcp_port: None,
            rtp_ports: 17_000..=17_099,
            direct_peers: [loopback].into(),
            direct_callees: Callees {
                otherwise: Some(Callee {
                    line: line.clone(),
                    names: Vec::new(),
                    panel: PanelId::new("phone")?,
                }),
                ..Callees::default()
            },
            user_agent: "Doorline demo phone".to_owned(),
            instance: [1; 16],
            ..SipParams::default()
        };
        let (events, mut inbox) = mpsc::channel(64);
        let sip = SipEngine::start(params, Arc::new(SystemClock), events).await?;
        let audio = VirtualAudio::new(Source::parse("tone:880")?, None)?;
        let levels = audio.levels();
        sip.attach_line(line, Box::new(audio))?;
        let (tell, state) = watch::channel(PhoneState::Idle);
        let answering = sip.clone();
        tokio::spawn(async move {
            while let Some(event) = inbox.recv().await {
                if let SipEvent::Leg(event) = event {
                    react(&answering, &tell, event).await;
                }
            }
        });
        Ok(Self { levels, sip, state })
    }

    /// Waits until the phone talks, or the call is over.
    pub(crate) async fn talking(&mut self) -> Option<LegId> {
        let state = self
            .state
            .wait_for(|s| matches!(s, PhoneState::Talking(_) | PhoneState::Over))
            .await
            .ok()?;
        if let PhoneState::Talking(leg) = *state {
            Some(leg)
        } else {
            None
        }
    }

    /// Waits until the call is over.
    pub(crate) async fn over(&mut self) {
        let _ = self.state.wait_for(|s| *s == PhoneState::Over).await;
    }

    /// Plays the called person for whoever presses the bell: answers, opens, hangs up. Does not end.
    pub(crate) async fn play_along(&mut self, tell: &Teller) {
        loop {
            let leg = match self.talking_next().await {
                Ok(leg) => leg,
                // the phone is gone
                Err(_) => return std::future::pending().await,
            };
            tell.say("phone", "rings and is answered");
            if self.over_within(BEFORE_9).await {
                tell.say("visitor", "the call is over");
                continue;
            }
            let pressed = self.press(leg, '9');
            tell.say(
                "phone",
                &pressed.map_or_else(|error| error.to_string(), |()| "presses 9".to_owned()),
            );
            if !self.over_within(AFTER_9).await {
                let _ = self.hang_up(leg).await;
                self.over().await;
            }
            tell.say("phone", "hangs up; press again as often as you like");
        }
    }

    async fn talking_next(&mut self) -> Result<LegId, watch::error::RecvError> {
        loop {
            if let PhoneState::Talking(leg) = *self.state.borrow_and_update() {
                return Ok(leg);
            }
            self.state.changed().await?;
        }
    }

    /// True if the call ends within that time.
    async fn over_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.over()).await.is_ok()
    }

    /// Presses a key, as an RFC 4733 telephone-event.
    pub(crate) fn press(&self, leg: LegId, key: char) -> anyhow::Result<()> {
        Ok(self.sip.send_digit(leg, key, Duration::from_millis(160))?)
    }

    /// Hangs up.
    pub(crate) async fn hang_up(&self, leg: LegId) -> anyhow::Result<()> {
        Ok(self
            .sip
            .command(LegCommand::End {
                leg,
                cause: Cause::Normal,
            })
            .await?)
    }

    /// Frames of 10 ms in which the phone heard the visitor.
    pub(crate) fn heard_frames(&self) -> u64 {
        self.levels.heard_frames()
    }
}

async fn react(sip: &SipHandle, tell: &watch::Sender<PhoneState>, event: LegEvent) {
    match event {
        LegEvent::Incoming { leg, .. } => {
            tell.send_replace(PhoneState::Ringing(leg));
            let _ = sip.command(LegCommand::Ringing { leg }).await;
            // a person needs a moment
            tokio::time::sleep(Duration::from_millis(800)).await;
            let _ = sip.command(LegCommand::Answer { leg }).await;
        }
        LegEvent::Answered { leg, .. } => {
            let _ = sip.command(LegCommand::Connect { leg }).await;
            tell.send_replace(PhoneState::Talking(leg));
        }
        LegEvent::Ended { .. } => {
            tell.send_replace(PhoneState::Over);
        }
        LegEvent::AuthorityLost { .. }
        | LegEvent::Digit { .. }
        | LegEvent::EarlyMedia { .. }
        | LegEvent::Held { .. }
        | LegEvent::Redirected { .. }
        | LegEvent::Ringing { .. } => {}
        LegEvent::TakingOver { leg, .. } => {
            let cause = Cause::Declined;
            let _ = sip.command(LegCommand::End { leg, cause }).await;
        }
        LegEvent::TransferAsked { leg, .. } => {
            let why = "this phone calls nobody".to_owned();
            let _ = sip.command(LegCommand::RefuseTransfer { leg, why }).await;
        }
    }
}
