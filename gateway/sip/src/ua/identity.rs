//! Who the other side is, as far as the network vouches for it (RFC 3325).

use gateway_core::Peer;

use crate::{Aor, HeaderName, Headers, NameAddr, Uri};

/// The asserted identity of a message: P-Asserted-Identity, else Remote-Party-ID. Only to be asked for messages of a
/// flow that is trusted for it.
pub(crate) fn asserted(headers: &Headers) -> Option<NameAddr> {
    [HeaderName::PAssertedIdentity, HeaderName::RemotePartyId]
        .iter()
        .find_map(|name| headers.addresses(name).ok()?.into_iter().next())
}

/// A peer by address, whose name is not shown if he withholds who he is.
pub(crate) fn peer(addr: &NameAddr, trusted: bool, withheld: bool) -> Peer {
    Peer {
        address: Aor::canonical(&addr.uri),
        foreign: false,
        display: addr.display.clone().filter(|d| !d.is_empty() && !withheld),
        trusted,
        withheld,
    }
}

/// True if two addresses name different parties. Hosts are not compared: one PBX shows the same extension under its
/// name, its address and its domain.
pub(crate) fn differs(ours: &Uri, theirs: &Uri) -> bool {
    match (ours.user(), theirs.user()) {
        (Some(a), Some(b)) => a != b,
        (None, None) => false,
        (None, Some(_)) | (Some(_), None) => true,
    }
}
