//! What the layer keeps of one transaction.

use std::sync::Arc;

use gateway_core::Instant;

use super::key::{Key, MergedKey};
use super::{Action, InviteClient, InviteServer, NonInviteClient, NonInviteServer};
use crate::message::{HeaderValue, Request};
use crate::transport::Flow;

#[derive(Debug)]
pub(super) enum Machine {
    InviteClient(InviteClient),
    InviteServer(InviteServer),
    NonInviteClient(NonInviteClient),
    NonInviteServer(NonInviteServer),
}

impl Machine {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::InviteClient(m) => m.poll_timeout(),
            Self::InviteServer(m) => m.poll_timeout(),
            Self::NonInviteClient(m) => m.poll_timeout(),
            Self::NonInviteServer(m) => m.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        match self {
            Self::InviteClient(m) => m.handle_timeout(now),
            Self::InviteServer(m) => m.handle_timeout(now),
            Self::NonInviteClient(m) => m.handle_timeout(now),
            Self::NonInviteServer(m) => m.handle_timeout(now),
        }
    }

    pub(super) const fn is_client(&self) -> bool {
        matches!(self, Self::InviteClient(_) | Self::NonInviteClient(_))
    }

    /// True for a client transaction that has its final response and only absorbs repeats.
    pub(super) const fn lingers(&self) -> bool {
        match self {
            Self::InviteClient(m) => m.is_answered(),
            Self::NonInviteClient(m) => m.is_answered(),
            Self::InviteServer(_) | Self::NonInviteServer(_) => false,
        }
    }

    /// True for a client transaction that has heard nothing yet.
    pub(super) const fn is_unheard(&self) -> bool {
        match self {
            Self::InviteClient(m) => m.is_unheard(),
            Self::NonInviteClient(m) => m.is_unheard(),
            Self::InviteServer(_) | Self::NonInviteServer(_) => false,
        }
    }

    /// True for an INVITE that was refused and waits for its ACK.
    pub(super) const fn is_refused_invite(&self) -> bool {
        match self {
            Self::InviteServer(m) => m.is_refused(),
            Self::InviteClient(_) | Self::NonInviteClient(_) | Self::NonInviteServer(_) => false,
        }
    }

    /// True for a server transaction that only absorbs repeats.
    pub(super) const fn is_idle_server(&self) -> bool {
        match self {
            Self::InviteServer(m) => m.is_idle(),
            Self::NonInviteServer(m) => m.is_idle(),
            Self::InviteClient(_) | Self::NonInviteClient(_) => false,
        }
    }
}

/// Whether the user wants an INVITE of ours cancelled.
#[derive(Debug, PartialEq)]
pub(super) enum Cancel {
    No,
    /// Waits for a provisional response (RFC 3261 §9.1).
    Wanted(Option<HeaderValue>),
    Sent,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) machine: Machine,
    /// Where messages of this transaction go.
    pub(super) flow: Flow,
    /// Our request, or our last response.
    pub(super) last: Arc<[u8]>,
    /// INVITE transactions only: what ACK, CANCEL and 100 need of the INVITE; a stranger's body is not kept.
    pub(super) invite: Option<Box<Request>>,
    /// Server: tag we put into To.
    pub(super) local_tag: Option<String>,
    pub(super) cancel: Cancel,
    /// Made by the layer itself (CANCEL): the user hears nothing of it.
    pub(super) quiet: bool,
    pub(super) key: Key,
    pub(super) merged: Option<MergedKey>,
    pub(super) scheduled: Option<Instant>,
}
