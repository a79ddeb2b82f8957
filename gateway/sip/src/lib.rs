//! SIP messages, transactions, dialogs, registration and user agent. Pure.
//!
//! Lower half: [`message`] reads what arrives and writes what we send, [`digest`] answers challenges,
//! [`transaction`] runs the four machines of RFC 3261 §17 in virtual time. `rsip` gives the vocabulary (methods,
//! status codes); reading is ours, because peers send what `rsip` cannot hold.
//!
//! Not here: sockets, DNS, TLS and the clock (crate `gateway-sip-io`).

pub mod aor;
pub mod cseq;
pub mod digest;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
pub mod name_addr;
pub mod params;
pub mod refer;
mod scan;
pub mod token;
pub mod transaction;
pub mod transport;
pub mod ua;
pub mod uri;
pub mod via;

pub use aor::{Aor, AorError};
pub use cseq::CSeq;
pub use digest::{Challenge, Credentials, DigestError, DigestSession};
pub use error::{HeaderError, SyntaxError};
pub use message::{
    Contacts, Datagram, Frame, FrameError, Header, HeaderName, HeaderValue, Headers, Limits, Message, Method,
    ReadError, Request, Response, StreamFramer, read_datagram,
};
pub use name_addr::NameAddr;
pub use params::{ParamValue, Params};
pub use refer::{ReferError, ReferTo, Replaces};
pub use rsip::StatusCode;
pub use transaction::{TransactionId, TransactionLayer};
pub use transport::{Flow, FlowId, Transport, needs_stream};
pub use uri::{Host, SipUri, TelUri, Uri};
pub use via::Via;
