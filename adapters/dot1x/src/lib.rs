//! The gateway's own switch port: an IEEE 802.1X supplicant, driven by `wpa_supplicant`.
//!
//! [`Dot1x`] is the adapter. Its parts: [`Port`] is the pure state machine that decides what is true about the port;
//! `supplicant` finds the program, or has `child` start it, and speaks to its control socket; `link` hears of the
//! carrier and of neighbours from the kernel; [`Material`] checks certificates and keys before anybody needs them.
//! Addresses are not looked after here.

mod child;
mod driver;
mod expiry;
#[doc(hidden)]
pub mod fuzz;
mod kin;
mod link;
mod manager;
mod material;
mod memory;
mod message;
mod netlink;
mod network;
mod openssl;
mod params;
mod pem;
mod port;
mod supplicant;

pub use driver::Dot1x;
pub use expiry::{Expiry, WARN_DAYS};
pub use manager::managed_elsewhere;
pub use material::{Chain, Material, MaterialError, Named, check, in_time};
pub use params::{Bytes, ClientIdentity, Method, Params, PeapInner, ServerCheck, TtlsInner};
pub use port::{Command, Input, Neighbours, Output, Port};
