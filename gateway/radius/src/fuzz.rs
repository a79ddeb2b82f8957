//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::time::Duration;

use gateway_core::{Instant, Secret};

use crate::{Code, Exchange, Output, Packet, Reply, Request, Target as Server, Tries};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("radius", radius), ("radius_reply", reply)];

const HEADER: usize = 20;

fn secret() -> Secret {
    Secret::new("shared with the server")
}

fn access() -> Option<Request> {
    let password = Secret::new("secret password");
    Request::access(9, [5; 16], &secret(), ("bob", &password), ("lilas", "192.0.2.9")).ok()
}

/// Datagrams of somebody without the secret, each behind its length; time passes between them.
///
/// # Panics
/// If they let somebody in, or the exchange does not end.
pub fn radius(data: &[u8]) {
    let Some(request) = access() else { return };
    if let Ok(packet) = Packet::read(data) {
        let octets: usize = packet.attributes().map(|(_, value)| value.len() + 2).sum();
        assert_eq!(octets + HEADER, packet.bytes().len());
    }
    let tries = Tries {
        count: 2,
        wait: Duration::from_secs(1),
    };
    let server = Server {
        request,
        secret: secret(),
        tries,
    };
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut exchange = Exchange::begin(now, vec![server; 2], true);
    let mut rest = data;
    while let Some((len, more)) = rest.split_first() {
        let (datagram, more) = more.split_at(usize::from(*len).min(more.len()));
        rest = more;
        exchange.handle_datagram(usize::from(len & 1), datagram);
        now = now + Duration::from_millis(300);
        exchange.handle_timeout(now);
    }
    for _ in 0..8 {
        let Some(next) = exchange.poll_timeout() else {
            break;
        };
        now = now.max(next);
        exchange.handle_timeout(now);
    }
    assert_eq!(exchange.poll_timeout(), None, "it goes on");
    while let Some(output) = exchange.poll_output() {
        assert!(!matches!(output, Output::Answered { .. }), "{data:?}");
    }
}

/// An answer of somebody who has the secret: the first byte is its code, the rest its attributes.
///
/// # Panics
/// If what was answered is not what is read.
pub fn reply(data: &[u8]) {
    let (Some(request), Some((code, mut rest))) = (access(), data.split_first()) else {
        return;
    };
    let code = [Code::AccessAccept, Code::AccessReject, Code::AccessChallenge][usize::from(*code) % 3];
    let mut attributes: Vec<(u8, &[u8])> = vec![];
    while let Some(([kind, len], more)) = rest.split_first_chunk() {
        let (value, more) = more.split_at(usize::from(*len).min(more.len()).min(253));
        rest = more;
        attributes.push((*kind, value));
    }
    let bytes = crate::fake::answer(request.bytes(), code, &attributes, true, &secret());
    if let Ok(reply) = Reply::check(&bytes, &request, &secret(), true) {
        assert_eq!(reply.code(), code);
        let verdict = reply.verdict();
        assert!(code == Code::AccessAccept || verdict.is_err(), "{verdict:?}");
    }
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
