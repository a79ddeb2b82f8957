//! Sockets, DNS, TLS, timers and media threads that drive SIP and media.
//!
//! [`SipEngine::start`] opens the listeners and runs one driver task that owns the pure user agent of
//! `gateway-sip` and the media sessions of `gateway-media`. The program talks to it through a [`SipHandle`]:
//! `LegCommand`s go in, [`SipEvent`]s come out, and each panel line lends its `AudioPort`.
//!
//! What is left out: no decision is made here. An incoming call is only reported; whether it is answered, and
//! whether its digits open a door, is for the call plan and the access decision.

mod convert;
mod digits;
mod driver;
mod event;
mod handle;
mod handshake;
mod keys_out;
mod measures;
mod names;
mod net;
mod outside;
mod params;
mod ready;
mod session;
mod texts;

pub use event::{AccountReport, QualityReport, SipEvent, SipStats, StrangerReport, TextReport};
pub use gateway_media::{Both, Piece, Recorder, Recording, recording};
pub use gateway_sip::Transport;
pub use gateway_sip::ua::{CredentialsMark, Tries};
pub use handle::{SipEngine, SipError, SipHandle};
pub use measures::Measures;
pub use params::{
    AccountParams, AudioCodec, Callee, Callees, Ice, KeepAlive, KeepAliveWay, ParamsError, Privacy,
    Provisional, SessionTimer, SipParams, Srtp, SrtpKeys, TlsIdentity, TlsListener, TlsTrust,
};
pub use texts::Text;

/// Legs of incoming calls are numbered from here (2⁴⁰) upwards, so that they never meet the numbers that the
/// call plan gives to the legs it offers.
pub const FIRST_INCOMING_LEG: u64 = 1 << 40;
