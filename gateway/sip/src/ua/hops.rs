//! Reaching hops, sharing their flows, and noticing that one is gone.

use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::{AccountId, Instant, LegId};

use super::UserAgent;
use super::account::Phase;
use super::backoff::Backoff;
use super::hop::{Hop, HopState, Reached};
use super::types::Output;
use crate::{Flow, Transport, needs_stream};

/// Hops remembered beside those of accounts: direct targets, and TCP for long requests.
const MOST: usize = 256;
/// Room that Via takes in a request that has none yet, bytes.
const VIA_ROOM: usize = 110;
/// A PBX that does not take TCP for a long request is not asked again for so long.
const NO_TCP: Duration = Duration::from_secs(600);

/// A hop and its history.
#[derive(Debug)]
pub(crate) struct HopSlot {
    attempt: usize,
    backoff: Backoff,
    pub(crate) state: HopState,
}

impl HopSlot {
    pub(crate) const fn reached(&self) -> Option<&Reached> {
        match &self.state {
            HopState::Up(reached) => Some(reached),
            HopState::Connecting | HopState::Failed { .. } => None,
        }
    }

    pub(crate) fn is_on(&self, flow: &Flow) -> bool {
        self.reached().is_some_and(|reached| reached.flow == *flow)
    }
}

/// What became of the wish to reach a hop.
pub(crate) enum Reach {
    Failed(String),
    Up(Reached),
    Wait,
}

impl UserAgent {
    /// Reaches a hop, or says what is known of it. `fresh` tries again though it failed a moment ago.
    pub(crate) fn reach(&mut self, now: Instant, hop: &Hop, fresh: bool) -> Reach {
        match self.hops.get(hop).map(|slot| &slot.state) {
            Some(HopState::Up(reached)) => return Reach::Up(reached.clone()),
            Some(HopState::Connecting) => return Reach::Wait,
            Some(HopState::Failed { until, why }) if !fresh && *until > now => {
                return Reach::Failed(why.clone());
            }
            Some(HopState::Failed { .. }) | None => {}
        }
        self.forget_hops(now);
        let slot = self.hops.entry(hop.clone()).or_insert_with(|| HopSlot {
            attempt: 0,
            backoff: Backoff::default(),
            state: HopState::Connecting,
        });
        slot.state = HopState::Connecting;
        self.out.push_back(Output::Connect {
            attempt: slot.attempt,
            hop: hop.clone(),
        });
        Reach::Wait
    }

    /// Where a request of so many bytes without Via has room: the flow itself, or TCP to the same place if that is not known
    /// to be refused (RFC 3261 §18.1.1). As an error the hop that is to be waited for.
    pub(crate) fn with_room(&mut self, now: Instant, len: usize, flow: Flow) -> Result<Flow, Hop> {
        if flow.transport != Transport::Udp || !needs_stream(len + VIA_ROOM) {
            return Ok(flow);
        }
        let tcp = self.roomy_hop(&flow);
        match self.reach(now, &tcp, false) {
            Reach::Failed(_) => Ok(flow),
            Reach::Up(reached) => Ok(reached.flow),
            Reach::Wait => Err(tcp),
        }
    }

    /// TCP to where a flow leads.
    pub(crate) fn roomy_hop(&self, flow: &Flow) -> Hop {
        let (host, port) = (flow.remote.ip().into(), Some(flow.remote.port()));
        Hop::new(&host, port, Transport::Tcp, self.params.direct_trust)
    }

    /// TCP was wanted for the size of a request, and is refused.
    pub(crate) fn no_room(&mut self, now: Instant, tcp: &Hop, why: &str) {
        self.forget_hops(now);
        let state = HopState::Failed {
            until: now + NO_TCP,
            why: why.to_owned(),
        };
        let slot = self.hops.entry(tcp.clone());
        slot.and_modify(|slot| slot.state = state.clone())
            .or_insert_with(|| HopSlot {
                attempt: 0,
                backoff: Backoff::default(),
                state,
            });
    }

    /// TCP that was wanted for room is there, or refused: what waited for it goes.
    fn room_settled(&mut self, now: Instant, tcp: &Hop, refused: Option<&str>) {
        let publishes = self
            .accounts
            .values()
            .any(|account| account.publication.waits_for(tcp));
        let watched = self.watchers.values().any(|watcher| watcher.waits_for(tcp));
        let inside = self.roomless.iter().any(|waiting| waiting.tcp == *tcp);
        if !(publishes || watched || inside) {
            return;
        }
        if let Some(why) = refused {
            self.no_room(now, tcp, why);
        }
        self.publications_reach(now, tcp);
        self.watchers_reach(now, tcp);
        self.inside_reaches(now, tcp);
    }

    fn forget_hops(&mut self, now: Instant) {
        if self.hops.len() < MOST {
            return;
        }
        let (accounts, calls, texts) = (&self.accounts, &self.calls, &self.texts);
        self.hops.retain(|hop, slot| {
            accounts.values().any(|account| account.params.hop == *hop)
                || calls.values().any(|call| call.hop == *hop)
                || texts.iter().any(|(of, _)| of == hop)
                || match &slot.state {
                    HopState::Connecting => true,
                    HopState::Failed { until, .. } => *until > now,
                    HopState::Up(_) => false,
                }
        });
    }

    /// The driver reached a hop, or did not; `why` is for the journal.
    pub fn handle_connected(&mut self, now: Instant, hop: &Hop, result: Result<Reached, String>) {
        match result {
            Ok(mut reached) => {
                for peer in &mut reached.peers {
                    *peer = peer.to_canonical();
                }
                if !self.hops.contains_key(hop) {
                    self.out.push_back(Output::Close { flow: reached.flow });
                    return;
                }
                self.stream_up(now, reached.flow);
                if let Some(slot) = self.hops.get_mut(hop) {
                    slot.backoff.reset();
                    slot.state = HopState::Up(reached.clone());
                }
                for account in self.accounts.values_mut().filter(|a| a.params.hop == *hop) {
                    account.reached(&reached);
                }
                for id in self.accounts_reaching(hop) {
                    self.registration_flow_up(now, &id, &reached);
                }
                for leg in self.calls_waiting(hop) {
                    self.call_flow_up(now, leg, &reached);
                }
                self.texts_reach(now, hop, Ok(()));
                self.room_settled(now, hop, None);
            }
            Err(why) => {
                if let Some(slot) = self.hops.get_mut(hop) {
                    slot.attempt += 1;
                    let until = now + slot.backoff.next(&mut self.rng);
                    slot.state = HopState::Failed {
                        until,
                        why: why.clone(),
                    };
                }
                for id in self.accounts_reaching(hop) {
                    self.register_failed(now, &id, &why);
                }
                for leg in self.calls_waiting(hop) {
                    self.call_flow_failed(now, leg, &why);
                }
                self.texts_reach(now, hop, Err(&why));
                self.room_settled(now, hop, Some(&why));
            }
        }
        self.drain(now);
    }

    /// A request over this hop got no answer: the next try resolves the name again and takes the next address.
    pub(crate) fn hop_silent(&mut self, hop: &Hop) {
        if let Some(slot) = self.hops.remove(hop) {
            if let Some(reached) = slot.reached()
                && reached.flow.transport.is_reliable()
            {
                let flow = reached.flow;
                self.streams.remove(&flow);
                self.out.push_back(Output::Close { flow });
            }
            self.hops.insert(
                hop.clone(),
                HopSlot {
                    attempt: slot.attempt + 1,
                    backoff: slot.backoff,
                    state: HopState::Failed {
                        until: Instant::ZERO,
                        why: "no answer".into(),
                    },
                },
            );
        }
    }

    /// A server answered 503. If its name has more, the next request goes to the next of them (RFC 3263 §4.3). True if there
    /// is one that was not asked in this round.
    pub(crate) fn hop_unavailable(&mut self, hop: &Hop, remote: SocketAddr) -> bool {
        let Some(slot) = self.hops.get_mut(hop) else {
            return false;
        };
        let Some(reached) = slot.reached() else {
            return true;
        };
        let (flow, servers) = (reached.flow, reached.peers.len());
        if servers < 2 {
            return false;
        }
        // another call may have moved on already
        if flow.remote != remote {
            return true;
        }
        slot.attempt += 1;
        slot.state = HopState::Failed {
            until: Instant::ZERO,
            why: "503".into(),
        };
        let more = !slot.attempt.is_multiple_of(servers);
        // what carries a call or a registration stays
        if flow.transport.is_reliable() && !self.uses_flow(&flow) {
            self.streams.remove(&flow);
            self.out.push_back(Output::Close { flow });
        }
        more
    }

    /// A connection is gone: hops forget it, and registrations over it are made again.
    pub(crate) fn flow_lost(&mut self, now: Instant, flow: Flow, why: &str) {
        self.hops.retain(|_, slot| !slot.is_on(&flow));
        let ids: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, account)| account.reg.flow == Some(flow))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.registration_flow_lost(now, &id, why);
        }
    }

    fn accounts_reaching(&self, hop: &Hop) -> Vec<AccountId> {
        self.accounts
            .iter()
            .filter(|(_, account)| account.params.hop == *hop && account.reg.phase == Phase::Reaching)
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn calls_waiting(&self, hop: &Hop) -> Vec<LegId> {
        self.calls
            .iter()
            .filter(|(_, call)| call.waits_for(hop))
            .map(|(leg, _)| *leg)
            .collect()
    }
}
