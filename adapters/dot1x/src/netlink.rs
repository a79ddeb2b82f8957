//! The messages of rtnetlink that matter here (rtnetlink(7)): links with their carrier, neighbours with their state.
//! Reading only; what is cut or strange is left out.

use crate::port::Neighbours;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
const RTM_NEWNEIGH: u16 = 28;
pub(crate) const RTM_GETNEIGH: u16 = 30;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x0301;
/// Family of a message about the link itself.
const AF_UNSPEC: u8 = 0;
const IFLA_IFNAME: u16 = 3;
const IFLA_CARRIER_CHANGES: u16 = 35;
const NDA_CACHEINFO: u16 = 3;
const IFF_UP: u32 = 0x1;
const IFF_LOWER_UP: u32 = 0x1_0000;
const HEADER: usize = 16;
/// Multicast group of links (`RTMGRP_LINK`).
pub(crate) const GROUP_LINK: u32 = 1;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Netlink {
    /// The end of a dump, or an error in its place.
    Done,
    /// A link is there, or changed; or it is gone.
    Link {
        carrier: bool,
        /// How often the carrier went or came since the link was made; old kernels do not tell.
        changes: Option<u32>,
        index: i32,
        name: String,
        /// False if it is gone.
        there: bool,
    },
    /// An entry of a neighbour table.
    Neighbour(Neighbour),
}

/// An entry of a neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// Hundredths of a second since it answered last.
    pub(crate) confirmed: u32,
    pub(crate) index: i32,
    /// `NUD_*`.
    pub(crate) state: u16,
    /// Hundredths of a second since its state changed.
    pub(crate) updated: u32,
}

/// Asks for all entries of a kind.
pub(crate) fn dump(kind: u16) -> Vec<u8> {
    // a header, then an ifinfomsg (16 bytes) or an ndmsg (12), all zero: every family, every interface
    let body = if kind == RTM_GETLINK { 16_u32 } else { 12 };
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&(HEADER as u32 + body).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&DUMP.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.resize(HEADER + body as usize, 0);
    message
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The messages of one datagram.
pub(crate) fn read(mut bytes: &[u8]) -> Vec<Netlink> {
    let mut found = vec![];
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(message) = bytes.get(HEADER..length) else {
            break;
        };
        found.extend(match kind {
            NLMSG_DONE | NLMSG_ERROR => Some(Netlink::Done),
            RTM_NEWLINK => link(message, true),
            RTM_DELLINK => link(message, false),
            RTM_NEWNEIGH => neighbour(message),
            _ => None,
        });
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    found
}

/// The attribute of a kind.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(aligned(length)..)?;
    }
}

fn link(message: &[u8], there: bool) -> Option<Netlink> {
    // a bridge tells of its ports, too: one that leaves it is not gone
    if *message.first()? != AF_UNSPEC {
        return None;
    }
    let index = i32::from_ne_bytes(message.get(4..8)?.try_into().ok()?);
    let flags = u32_at(message, 8)?;
    let attributes = message.get(16..)?;
    let name = attribute(attributes, IFLA_IFNAME)?;
    let name = name.split(|b| *b == 0).next()?;
    Some(Netlink::Link {
        carrier: there && flags & IFF_UP != 0 && flags & IFF_LOWER_UP != 0,
        changes: attribute(attributes, IFLA_CARRIER_CHANGES).and_then(|value| u32_at(value, 0)),
        index,
        name: String::from_utf8_lossy(name).into_owned(),
        there,
    })
}

fn neighbour(message: &[u8]) -> Option<Netlink> {
    let index = i32::from_ne_bytes(message.get(4..8)?.try_into().ok()?);
    let state = u16_at(message, 8)?;
    let cache = attribute(message.get(12..)?, NDA_CACHEINFO)?;
    Some(Netlink::Neighbour(Neighbour {
        confirmed: u32_at(cache, 0)?,
        index,
        state,
        updated: u32_at(cache, 8)?,
    }))
}

/// `NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE`: it has answered once.
const ANSWERED: u16 = 0x2 | 0x4 | 0x8 | 0x10;
/// `NUD_INCOMPLETE | NUD_FAILED`: asked, and no answer.
const UNANSWERED: u16 = 0x1 | 0x20;
/// An answer counts for so many hundredths of a second.
const LATELY: u32 = 6000;
/// And so does a question.
const ASKED: u32 = 3000;

/// What the neighbours of an interface tell together.
pub(crate) fn judge(neighbours: &[Neighbour], index: i32) -> Neighbours {
    let mut silent = false;
    for n in neighbours.iter().filter(|n| n.index == index) {
        if n.state & ANSWERED != 0 && n.confirmed < LATELY {
            return Neighbours::Answering;
        }
        silent |= n.state & UNANSWERED != 0 && n.updated < ASKED;
    }
    if silent {
        Neighbours::Silent
    } else {
        Neighbours::Unknown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        bytes.extend_from_slice(&u32::try_from(HEADER + body.len()).expect("short").to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(body);
        bytes
    }

    fn link_body(index: i32, flags: u32) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend_from_slice(&index.to_ne_bytes());
        body.extend_from_slice(&flags.to_ne_bytes());
        body.extend_from_slice(&[0; 4]);
        // an MTU first, then the name
        body.extend_from_slice(&[8_u16.to_ne_bytes(), 4_u16.to_ne_bytes()].concat());
        body.extend_from_slice(&1500_u32.to_ne_bytes());
        body.extend_from_slice(&[9_u16.to_ne_bytes(), 3_u16.to_ne_bytes()].concat());
        body.extend_from_slice(b"eth0\0\0\0\0");
        body.extend_from_slice(&[8_u16.to_ne_bytes(), 35_u16.to_ne_bytes()].concat());
        body.extend_from_slice(&12_u32.to_ne_bytes());
        body
    }

    #[test]
    fn a_link_tells_its_carrier() {
        for (kind, flags, carrier) in [
            (16, 0x1_0043, true),
            (16, 0x43, false),
            (16, 0x1_0002, false),
            (17, 0x1_0043, false),
        ] {
            let name = "eth0".to_owned();
            let expected = vec![Netlink::Link {
                carrier,
                changes: Some(12),
                index: 7,
                name,
                there: kind == RTM_NEWLINK,
            }];
            assert_eq!(
                read(&message(kind, &link_body(7, flags))),
                expected,
                "{kind} {flags:x}"
            );
        }
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_not_gone() {
        let mut body = link_body(7, 0x1_0043);
        // AF_BRIDGE
        body[0] = 7;
        assert_eq!(read(&message(RTM_DELLINK, &body)), []);
    }

    #[test]
    fn neighbours_are_silent_only_if_asked_lately_and_without_any_answer() {
        let entry = |state, confirmed, updated| Neighbour {
            confirmed,
            index: 7,
            state,
            updated,
        };
        let stranger = Neighbour {
            index: 8,
            ..entry(0x2, 0, 0)
        };
        let check = |entries: &[Neighbour], expected| assert_eq!(judge(entries, 7), expected, "{entries:?}");
        check(&[], Neighbours::Unknown);
        check(&[stranger], Neighbours::Unknown);
        check(&[entry(0x20, 0, 100)], Neighbours::Silent);
        check(&[entry(0x1, 0, 100), stranger], Neighbours::Silent);
        check(&[entry(0x20, 0, 9000)], Neighbours::Unknown);
        check(&[entry(0x20, 0, 100), entry(0x4, 500, 0)], Neighbours::Answering);
        check(&[entry(0x20, 0, 100), entry(0x4, 50_000, 0)], Neighbours::Silent);
        check(&[entry(0x40, 0, 0)], Neighbours::Unknown);
    }

    #[test]
    fn the_kernel_answers_a_dump_with_links() {
        let link = crate::link::Link::find("lo").expect("netlink is there");
        assert!(link.is_some_and(|(index, ..)| index > 0));
        assert_eq!(
            crate::link::Link::find("none-such").expect("netlink is there"),
            None
        );
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic_or_go_on_for_ever(
            bytes in any::<Vec<u8>>(),
            kind in prop_oneof![Just(16_u16), Just(17), Just(28), any::<u16>()],
        ) {
            let _ = read(&bytes);
            prop_assert!(read(&message(kind, &bytes)).len() <= 1);
        }
    }
}
