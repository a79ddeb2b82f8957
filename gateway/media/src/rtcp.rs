//! RTCP (RFC 3550 §6): compound packets with SR or RR, SDES CNAME and BYE; a tolerant reader.

use crate::stats::ReportBlock;

/// Bytes of CNAME that are sent.
const MAX_CNAME: usize = 60;
/// Report blocks of one packet that are looked at.
const MAX_BLOCKS: usize = 31;

/// Sender part of an SR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP format timestamp, 32.32 bits; ours counts from boot (RFC 3550 §4 allows it).
    pub ntp: u64,
    /// The same moment in RTP ticks.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a packet of a compound says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A source leaves.
    Bye {
        /// Which.
        ssrc: u32,
    },
    /// How `reporter` receives `block.ssrc`.
    Report {
        /// Who reports.
        reporter: u32,
        /// What.
        block: ReportBlock,
    },
    /// A sender report.
    Sender {
        /// Who.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
    },
}

/// Writes a compound packet: SR if `sender` is given, else RR; SDES with CNAME; BYE if `bye`.
pub fn write(
    out: &mut Vec<u8>,
    ssrc: u32,
    sender: Option<&SenderInfo>,
    block: Option<&ReportBlock>,
    cname: &str,
    bye: bool,
) {
    out.clear();
    let count = u8::from(block.is_some());
    let words: u16 = if sender.is_some() { 6 } else { 1 } + 6 * u16::from(count);
    out.extend([0x80 | count, if sender.is_some() { 200 } else { 201 }]);
    out.extend(words.to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    if let Some(s) = sender {
        out.extend(s.ntp.to_be_bytes());
        for n in [s.rtp, s.packets, s.octets] {
            out.extend(n.to_be_bytes());
        }
    }
    if let Some(b) = block {
        out.extend(b.ssrc.to_be_bytes());
        let lost = b.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        out.extend([b.fraction, lost[1], lost[2], lost[3]]);
        for n in [b.highest, b.jitter, b.last_sr, b.delay_since_sr] {
            out.extend(n.to_be_bytes());
        }
    }
    let cname = cname.get(..MAX_CNAME.min(cname.len())).unwrap_or("door");
    // Chunk: SSRC, type, length, text, one to four zero bytes.
    let chunk = 4 + 2 + cname.len();
    let padded = (chunk / 4 + 1) * 4;
    out.extend([0x81, 202]);
    out.extend(u16::try_from(padded / 4).unwrap_or(0).to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    out.extend([1, u8::try_from(cname.len()).unwrap_or(0)]);
    out.extend(cname.as_bytes());
    out.resize(out.len() + padded - chunk, 0);
    if bye {
        out.extend([0x81, 203, 0, 1]);
        out.extend(ssrc.to_be_bytes());
    }
}

/// Reads a compound packet and tells `each` item in order; stops at the first packet whose length does not fit.
/// Returns false if not even the first packet is RTCP.
pub fn read(data: &[u8], mut each: impl FnMut(Item)) -> bool {
    let mut rest = data;
    let mut any = false;
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        if head[0] >> 6 != 2 || !(192..=223).contains(&head[1]) {
            break;
        }
        let len = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(body) = rest.get(4..len) else {
            break;
        };
        any = true;
        packet(head[1], usize::from(head[0] & 0x1f), body, &mut each);
        rest = rest.get(len..).unwrap_or_default();
    }
    any
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let b = bytes.get(4 * index..4 * index + 4)?;
    Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn packet(kind: u8, count: usize, body: &[u8], each: &mut impl FnMut(Item)) {
    match kind {
        200 | 201 => {
            let Some(reporter) = word(body, 0) else { return };
            let mut at = 1;
            if kind == 200 {
                let (Some(hi), Some(lo), Some(rtp), Some(packets), Some(octets)) = (
                    word(body, 1),
                    word(body, 2),
                    word(body, 3),
                    word(body, 4),
                    word(body, 5),
                ) else {
                    return;
                };
                let ntp = (u64::from(hi) << 32) | u64::from(lo);
                each(Item::Sender {
                    ssrc: reporter,
                    info: SenderInfo {
                        ntp,
                        rtp,
                        packets,
                        octets,
                    },
                });
                at = 6;
            }
            for n in 0..count.min(MAX_BLOCKS) {
                if let Some(block) = block(body, at + 6 * n) {
                    each(Item::Report { reporter, block });
                }
            }
        }
        203 => {
            for n in 0..count {
                if let Some(ssrc) = word(body, n) {
                    each(Item::Bye { ssrc });
                }
            }
        }
        _ => {}
    }
}

fn block(body: &[u8], at: usize) -> Option<ReportBlock> {
    let loss = word(body, at + 1)?;
    // 24 bits, signed.
    let lost = ((loss << 8) as i32) >> 8;
    Some(ReportBlock {
        ssrc: word(body, at)?,
        fraction: loss.to_be_bytes()[0],
        lost,
        highest: word(body, at + 2)?,
        jitter: word(body, at + 3)?,
        last_sr: word(body, at + 4)?,
        delay_since_sr: word(body, at + 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(data: &[u8]) -> Vec<Item> {
        let mut list = Vec::new();
        read(data, |i| list.push(i));
        list
    }

    #[test]
    fn a_compound_round_trips() {
        let info = SenderInfo {
            ntp: 0x0102_0304_0506_0708,
            rtp: 9,
            packets: 10,
            octets: 1600,
        };
        let block = ReportBlock {
            ssrc: 0xaabb_ccdd,
            fraction: 12,
            lost: -3,
            highest: 70_000,
            jitter: 5,
            last_sr: 6,
            delay_since_sr: 7,
        };
        let mut out = Vec::new();
        write(&mut out, 42, Some(&info), Some(&block), "doorline", true);
        assert_eq!(out.len() % 4, 0);
        assert_eq!(
            items(&out),
            [
                Item::Sender { ssrc: 42, info },
                Item::Report { reporter: 42, block },
                Item::Bye { ssrc: 42 }
            ]
        );
        write(&mut out, 42, None, None, "", false);
        assert_eq!(&out[..8], [0x80, 201, 0, 1, 0, 0, 0, 42]);
        assert!(items(&out).is_empty());
    }

    #[test]
    fn a_truncated_tail_does_not_hide_the_head() {
        let mut out = Vec::new();
        write(&mut out, 7, None, None, "x", true);
        out.extend([0x80, 200, 0, 200]);
        assert_eq!(items(&out), [Item::Bye { ssrc: 7 }]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(items(&data).len() <= 16 * data.len());
        }

        #[test]
        fn bytes_that_begin_well_are_read_or_refused(
            kind in 199u8..206, count in 0u8..32, data in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let words = u16::try_from(data.len() / 4).unwrap_or(0);
            let mut p = vec![0x80 | count, kind];
            p.extend(words.to_be_bytes());
            p.extend(data);
            read(&p, |_| ());
        }
    }
}
