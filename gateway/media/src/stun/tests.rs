//! The messages of RFC 5769, and any others.

use proptest::prelude::*;

use super::*;

/// RFC 5769 §2.1: a binding request of ICE.
const REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
    0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20,
    0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00,
    0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a,
    0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
    0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28,
    0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];
/// RFC 5769 §2.2: its answer over IPv4.
const ANSWER_V4: [u8; 80] = [
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
    0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f,
    0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00,
    0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53,
    0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
];
/// RFC 5769 §2.3: the same over IPv6.
const ANSWER_V6: [u8; 92] = [
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
    0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f,
    0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1,
    0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e,
    0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41, 0x80,
    0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
];
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: [u8; 12] = [
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
];

#[test]
fn the_request_of_rfc_5769_is_read_and_authentic() {
    let message = Message::read(&REQUEST).expect("a message");
    assert_eq!((message.kind, message.transaction), (Kind::Request, TRANSACTION));
    assert_eq!(message.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert!(message.controlled.is_some() && !message.use_candidate && message.unknown().is_empty());
    assert!(message.is_signed() && message.is_authentic(PASSWORD));
    assert!(!message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBT") && !message.is_authentic(b""));
}

#[test]
fn the_answers_of_rfc_5769_tell_the_address() {
    for (bytes, address) in [
        (&ANSWER_V4[..], "192.0.2.1:32853"),
        (&ANSWER_V6[..], "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let message = Message::read(bytes).expect("a message");
        assert_eq!(message.kind, Kind::Success);
        assert_eq!(message.mapped, address.parse().ok());
        assert!(message.is_authentic(PASSWORD));
    }
}

#[test]
fn a_bit_that_flips_anywhere_is_found() {
    for at in 0..REQUEST.len() * 8 {
        let mut bytes = REQUEST;
        bytes[at / 8] ^= 1 << (at % 8);
        let authentic = Message::read(&bytes).is_some_and(|m| m.is_authentic(PASSWORD));
        // without its fingerprint, whose name is bytes 100 and 101, the rest is as it was signed
        let name = (100 * 8..102 * 8).contains(&at);
        assert!(!authentic || name, "bit {at}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for address in ["192.0.2.7:4711", "[2001:db8::9]:9"] {
        let address: SocketAddr = address.parse().expect("an address");
        let mut out = vec![9; 3];
        let mut writer = Writer::begin(&mut out, Kind::Success, TRANSACTION);
        writer.mapped(address);
        writer.username("abcde");
        writer.sign(PASSWORD);
        writer.finish();
        let message = Message::read(&out).expect("a message");
        assert_eq!((message.kind, message.mapped), (Kind::Success, Some(address)));
        assert_eq!(message.username, Some(&b"abcde"[..]));
        assert!(message.is_authentic(PASSWORD));
        assert!(is_stun(&out) && !is_stun(&[22, 254]) && !is_stun(&[0x80]) && !is_stun(&[]));
    }
    let mut out = Vec::new();
    let mut writer = Writer::begin(&mut out, Kind::Error, TRANSACTION);
    writer.error(420, "Unknown Attribute");
    writer.unknown(&[0x0003, 0x7fff]);
    writer.finish();
    let message = Message::read(&out).expect("a message");
    assert_eq!((message.error, message.is_signed()), (Some(420), false));
    assert!(!message.is_authentic(PASSWORD));
}

#[test]
fn an_unsigned_attribute_behind_the_signature_does_not_count() {
    let mut out = Vec::new();
    let mut writer = Writer::begin(&mut out, Kind::Request, TRANSACTION);
    writer.username("a:b");
    writer.sign(PASSWORD);
    writer.attribute(attribute::USE_CANDIDATE, &[]);
    writer.attribute(0x0033, &[1]);
    writer.finish();
    let message = Message::read(&out).expect("a message");
    assert!(message.is_authentic(PASSWORD) && !message.use_candidate && message.unknown().is_empty());
}

#[test]
fn unknown_attributes_are_told_and_bounded() {
    let mut out = Vec::new();
    let mut writer = Writer::begin(&mut out, Kind::Request, TRANSACTION);
    for name in 0x0100..0x0114 {
        writer.attribute(name, b"x");
        writer.attribute(name | 0x8000, b"");
    }
    writer.finish();
    assert!(Message::read(&out).is_none(), "41 attributes");
    let mut writer = Writer::begin(&mut out, Kind::Request, TRANSACTION);
    for name in 0x0100..0x0114 {
        writer.attribute(name, b"x");
    }
    writer.finish();
    let message = Message::read(&out).expect("a message");
    assert_eq!(message.unknown().len(), MOST_UNKNOWN);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::fuzz_stun(&bytes);
        let framed = [&REQUEST[..2], &[0, u8::try_from(bytes.len() / 4 * 4).unwrap_or(0)], &REQUEST[4..20],
            &bytes[..bytes.len() / 4 * 4]].concat();
        crate::fuzz::fuzz_stun(&framed);
    }

    #[test]
    fn an_address_masked_twice_is_itself(ip: std::net::IpAddr, port: u16, transaction: [u8; 12]) {
        let address = SocketAddr::new(ip, port);
        prop_assert_eq!(mask(mask(address, &transaction), &transaction), address);
    }
}

#[test]
fn nobody_is_told_an_address_at_which_no_host_can_be() {
    for (address, place) in [
        ("192.0.2.9", true),
        ("2001:db8::9", true),
        ("0.0.0.0", false),
        ("::", false),
        ("224.0.0.251", false),
        ("239.1.2.3", false),
        ("ff02::fb", false),
        ("255.255.255.255", false),
        ("::ffff:224.0.0.1", false),
    ] {
        assert_eq!(is_place(address.parse().expect("an address")), place, "{address}");
    }
}
