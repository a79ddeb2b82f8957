//! Reading and writing an INVITE of 1.5 kB with SDP: `cargo bench -p gateway-sip`.
//!
//! Beside it, in the same run, rsip with the same message: `rsip-read` finds the headers and keeps them as text,
//! `rsip-read-typed` looks at the fields that `read-typed` looks at, `rsip-write` makes the text again.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use gateway_sip::message::{Datagram, Message, read_datagram};
use gateway_sip::{HeaderName, Limits};
use rsip::SipMessage;
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;

fn main() {
    let bytes = invite();
    assert!((1450..1550).contains(&bytes.len()), "{} bytes", bytes.len());
    let Ok(Datagram::Message(message)) = read_datagram(&bytes, &Limits::default()) else {
        panic!("the message is well-formed");
    };
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("invite-1500");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |b| {
        b.iter(|| read_datagram(black_box(&bytes), &Limits::default()))
    });
    group.bench_function("read-typed", |b| {
        b.iter(|| read_datagram(black_box(&bytes), &Limits::default()).map(|m| typed(&m)))
    });
    group.bench_function("write", |b| b.iter(|| black_box(&message).to_bytes()));
    let theirs = SipMessage::try_from(&bytes[..]).expect("rsip reads it, too");
    assert!(rsip_typed(&theirs) > 5, "rsip knows its fields");
    group.bench_function("rsip-read", |b| {
        b.iter(|| SipMessage::try_from(black_box(&bytes[..])))
    });
    group.bench_function("rsip-read-typed", |b| {
        b.iter(|| SipMessage::try_from(black_box(&bytes[..])).map(|m| rsip_typed(&m)));
    });
    group.bench_function("rsip-write", |b| b.iter(|| black_box(&theirs).to_string()));
    group.finish();
    criterion.final_summary();
}

/// The fields a user agent looks at for every INVITE.
fn typed(datagram: &Datagram) -> usize {
    let Datagram::Message(Message::Request(r)) = datagram else {
        return 0;
    };
    let h = &r.headers;
    let routes = h.addresses(&HeaderName::RecordRoute).map_or(0, |r| r.len());
    let ok = [
        h.via().is_ok(),
        h.from_addr().is_ok(),
        h.to().is_ok(),
        h.contact().is_ok(),
        h.cseq().is_ok(),
        h.call_id().is_ok(),
    ];
    routes + ok.iter().filter(|ok| **ok).count()
}

/// The same fields, with rsip.
fn rsip_typed(message: &SipMessage) -> usize {
    let ok = [
        message.via_header().is_ok_and(|h| h.typed().is_ok()),
        message.from_header().is_ok_and(|h| h.typed().is_ok()),
        message.to_header().is_ok_and(|h| h.typed().is_ok()),
        message.contact_header().is_ok_and(|h| h.typed().is_ok()),
        message.cseq_header().is_ok_and(|h| h.typed().is_ok()),
        message.call_id_header().is_ok(),
        message.record_route_header().is_some_and(|h| h.typed().is_ok()),
    ];
    ok.iter().filter(|ok| **ok).count()
}

fn invite() -> Vec<u8> {
    let sdp: String = [
        "v=0",
        "o=- 3930417852 3930417852 IN IP4 192.0.2.4",
        "s=pbx",
        "c=IN IP4 192.0.2.4",
        "t=0 0",
        "m=audio 12044 RTP/SAVP 8 0 9 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=maxptime:140",
        "a=sendrecv",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5",
        "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEw",
    ]
    .iter()
    .map(|line| format!("{line}\r\n"))
    .collect();
    let head = [
        "INVITE sip:503@192.0.2.9:5060;transport=tls SIP/2.0",
        "Via: SIP/2.0/TLS 192.0.2.4:5061;rport;branch=z9hG4bKPj2f1ab0e4-7a1d-4c3a-9f0c-7b1f5d0a6c11;alias",
        "Via: SIP/2.0/UDP 192.0.2.77:5060;received=192.0.2.77;branch=z9hG4bK1c5a1b7e;rport=5060",
        "Record-Route: <sip:192.0.2.4:5061;transport=tls;lr;ftag=5c2b1d0e>, <sip:192.0.2.77;lr>",
        "From: \"Reception, ground floor\" <sip:1000@pbx.example>;tag=5c2b1d0e-3d51-4f3a-8c5b-0e2d7b6a9f10",
        "To: <sip:503@pbx.example>",
        "Contact: <sip:asterisk@192.0.2.4:5061;transport=TLS>;+sip.instance=\"<urn:uuid:0f3c1b2a-1111-2222-3333-444455556666>\"",
        "Call-ID: 6a1f0d3b-5c24-49e7-8a51-2f0f5a8f6e2b",
        "CSeq: 21873 INVITE",
        "Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, MESSAGE, REFER",
        "Supported: 100rel, timer, replaces, norefersub, histinfo",
        "Session-Expires: 1800",
        "Min-SE: 90",
        "P-Asserted-Identity: \"Reception\" <sip:1000@pbx.example>",
        "Max-Forwards: 69",
        "User-Agent: PBX 22 (bench of the gateway, built for reading and writing alike)",
        "Content-Type: application/sdp",
    ];
    format!(
        "{}\r\nContent-Length: {}\r\n\r\n{sdp}",
        head.join("\r\n"),
        sdp.len()
    )
    .into_bytes()
}
