//! Answers to checks of the other side, the same on both sides of ICE.

use std::net::SocketAddr;

use super::Agreement;
use crate::stun::{Kind, Message, Writer};

/// Writes why a request is refused, if it is (RFC 8489 §9.1.3, RFC 8445 §7.3.1.1).
pub(super) fn refuses(
    agreement: &Agreement,
    request: &Message<'_>,
    conflict: bool,
    out: &mut Vec<u8>,
) -> bool {
    let Some((code, reason)) = refusal(agreement, request, conflict) else {
        return false;
    };
    let mut writer = Writer::begin(out, Kind::Error, request.transaction);
    writer.error(code, reason);
    if code == 420 {
        writer.unknown(request.unknown());
    }
    // whoever could not sign cannot verify either (RFC 8489 §9.1.3)
    if code >= 420 {
        writer.sign(agreement.local.password.as_bytes());
    }
    writer.finish();
    true
}

fn refusal(agreement: &Agreement, request: &Message<'_>, conflict: bool) -> Option<(u16, &'static str)> {
    let Some(username) = request.username.filter(|_| request.is_signed()) else {
        return Some((400, "Bad Request"));
    };
    let named = username.strip_prefix(agreement.local.fragment.as_bytes());
    let named = named.and_then(|rest| rest.strip_prefix(b":"));
    if named != Some(agreement.remote.as_bytes())
        || !request.is_authentic(agreement.local.password.as_bytes())
    {
        return Some((401, "Unauthenticated"));
    }
    if !request.unknown().is_empty() {
        return Some((420, "Unknown Attribute"));
    }
    conflict.then_some((487, "Role Conflict"))
}

/// Writes the answer to a good one: where it was seen to come from.
pub(super) fn agrees(agreement: &Agreement, request: &Message<'_>, from: SocketAddr, out: &mut Vec<u8>) {
    let mut writer = Writer::begin(out, Kind::Success, request.transaction);
    writer.mapped(from);
    writer.sign(agreement.local.password.as_bytes());
    writer.finish();
}
