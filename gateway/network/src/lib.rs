//! The gateway's place in the network: what it announces (mDNS, LLDP), which address its port has and who manages it,
//! and whether the machine's clock is synchronised.
//!
//! What has a protocol or writes files is pure and gets time, addresses and texts as arguments: the [`mdns`] responder,
//! the LLDP frame, and the texts of [`settings`]. Beside each stands what does the IO. Nothing here knows of doors.

pub mod clock;
#[doc(hidden)]
pub mod fuzz;
pub mod lldp;
pub mod mdns;
pub mod ports;
pub mod routes;
pub mod settings;
