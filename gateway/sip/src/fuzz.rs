//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.
//!
//! Each panics if an invariant breaks: nothing a peer sends may panic the reader, and what we write must be read
//! back the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::digest::parse_challenges;
use crate::message::{Datagram, Frame, HeaderName, Limits, Message, Response, StreamFramer, read_datagram};
use crate::transaction::{Event, Output, Params, TransactionLayer};
use crate::transport::{Flow, FlowId, Transport};
use crate::{Aor, CSeq, NameAddr, ReferTo, Replaces, Uri, Via};

mod agent;

pub use agent::user_agent;

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("sip_datagram", datagram),
    ("sip_stream", stream),
    ("sip_transactions", transactions),
    ("sip_user_agent", user_agent),
    ("sip_values", values),
];

/// Limits under which our own output is read back: escaping may make lines longer.
const WIDE: Limits = Limits {
    start_line: 65_536,
    headers: 1024,
    header: 65_536,
    head: 1 << 20,
    body: 1 << 20,
};

/// Reads a datagram, every typed field of it, and reads back what is written from it.
///
/// # Panics
/// If writing what was read is not stable.
pub fn datagram(data: &[u8]) {
    match read_datagram(data, &Limits::default()) {
        Ok(Datagram::Message(message)) => {
            typed(&message);
            let written = message.to_bytes();
            let again = match read_datagram(&written, &WIDE) {
                Ok(Datagram::Message(message)) => message.to_bytes(),
                other => panic!(
                    "own output is refused: {other:?}\n{}",
                    String::from_utf8_lossy(&written)
                ),
            };
            assert_eq!(
                String::from_utf8_lossy(&again),
                String::from_utf8_lossy(&written),
                "not stable"
            );
        }
        Ok(Datagram::KeepAlive) => {}
        Err(e) => {
            assert!(!e.to_string().is_empty());
            if let Some(answer) = e.answer {
                let bytes = answer.with_to_tag("t").to_bytes();
                assert!(bytes.starts_with(b"SIP/2.0 ") && bytes.ends_with(b"\r\n\r\n"));
            }
        }
    }
}

/// Cuts a stream in pieces of a size taken from the first byte, and in one.
///
/// # Panics
/// If the pieces give other messages than the whole.
pub fn stream(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let cut = |size: usize| {
        let mut framer = StreamFramer::new(Limits::default());
        let mut out = Vec::new();
        for piece in data.chunks(size.max(1)) {
            framer.push(piece);
            loop {
                match framer.next_frame() {
                    Ok(Some(Frame::Ping | Frame::Pong)) => {}
                    Ok(Some(frame)) => out.push(frame),
                    Ok(None) => break,
                    Err(e) => return (out, Some(e)),
                }
            }
        }
        (out, None)
    };
    assert_eq!(cut(usize::from(*first)), cut(data.len()), "the cut shows");
}

/// Gives a transaction layer the messages of a stream and answers every request; time runs between them.
///
/// # Panics
/// If the layer grows beyond its bounds or does not come to rest.
pub fn transactions(data: &[u8]) {
    let params = Params {
        servers: 4,
        clients: 4,
        ..Params::default()
    };
    let mut layer = TransactionLayer::new(params, StdRng::seed_from_u64(1));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let transport = if data.len().is_multiple_of(2) {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    let flow = Flow {
        id: FlowId(1),
        transport,
        local: address,
        remote: address,
    };
    let mut now = Instant::ZERO;
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(data);
    while let Ok(Some(frame)) = framer.next_frame() {
        match frame {
            Frame::Message(message) => layer.handle_message(now, message, flow),
            Frame::Bad(e) => {
                if let Some(answer) = e.answer {
                    layer.respond_unreadable(*answer, flow);
                }
            }
            Frame::Ping | Frame::Pong => {}
        }
        while let Some(output) = layer.poll_output() {
            if let Output::Event(Event::Request { id, request, .. }) = output {
                let code = 180 + 20 * u16::try_from(request.body.len() % 16).unwrap_or(0);
                let _ = layer.respond(now, id, &Response::to(&request, code).with_to_tag("t"));
            }
        }
        assert!(layer.len() <= params.servers, "unbounded");
        now = now + Duration::from_millis(100);
        layer.handle_timeout(now);
    }
    for _ in 0..1000 {
        let Some(at) = layer.poll_timeout() else { return };
        layer.handle_timeout(at);
    }
    panic!("timers without end: {layer:?}");
}

/// Parses one text as every value there is.
///
/// # Panics
/// If writing what was read is not stable.
pub fn values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for challenge in parse_challenges(&text) {
        let _ = challenge.algorithm();
    }
    let _ = Aor::complete(&text, None);
    if let Ok(uri) = Uri::parse(&text) {
        assert_eq!(Uri::parse(&uri.to_string()).as_ref(), Ok(&uri), "{text:?}");
        assert!(uri.same_as(&uri), "{text:?}");
        let _ = (uri.user(), Aor::canonical(&uri));
    }
    if let Ok(address) = NameAddr::parse(&text) {
        let written = address.to_string();
        assert_eq!(
            NameAddr::parse(&written).map(|a| a.to_string()),
            Ok(written),
            "{text:?}"
        );
    }
    if let Ok(via) = Via::parse(&text) {
        let written = via.to_string();
        assert_eq!(
            Via::parse(&written).map(|v| v.to_string()),
            Ok(written),
            "{text:?}"
        );
    }
    let _ = ReferTo::parse(&text);
    if let Ok(replaces) = Replaces::parse(&text) {
        assert_eq!(Replaces::parse(&replaces.to_string()), Ok(replaces), "{text:?}");
    }
    if let Ok(cseq) = CSeq::parse(&text) {
        assert_eq!(CSeq::parse(&cseq.to_string()), Ok(cseq), "{text:?}");
    }
}

/// Reads every typed field; a failure is a value, never a panic.
fn typed(message: &Message) {
    let h = message.headers();
    let _ = (
        h.via(),
        h.vias(),
        h.from_addr(),
        h.to(),
        h.contacts(),
        h.contact(),
        h.call_id(),
        h.cseq(),
    );
    let _ = (
        h.max_forwards(),
        h.expires(),
        h.content_length(),
        h.content_type(),
    );
    for name in [
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::PAssertedIdentity,
        HeaderName::Supported,
    ] {
        let _ = (
            h.addresses(&name),
            h.list(&name),
            h.has_token(&name, "timer"),
            h.leading_number(&name),
        );
    }
    for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
        h.all(&name).for_each(|v| drop(parse_challenges(&v.text())));
    }
    assert!(!message.to_string().is_empty());
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
