//! The secure channel (OSDP v2.2, annex D): session keys, cryptograms, MACs and encryption, for both ends.
//!
//! Each MAC begins with the whole last MAC of the other side, so that a packet fits at one place of one session only:
//! recorded, repeated, dropped or exchanged ones do not verify.

use aes::Aes128;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::key::{KEY, Key};
use crate::packet::{Check, Packet, SecurityBlock};

type Block = [u8; KEY];

/// Keys of one session.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionKeys {
    encryption: Block,
    mac1: Block,
    mac2: Block,
}

fn encrypt(key: &Block, block: Block) -> Block {
    let mut block = GenericArray::from(block);
    Aes128::new(GenericArray::from_slice(key)).encrypt_block(&mut block);
    block.into()
}

fn decrypt(key: &Block, block: Block) -> Block {
    let mut block = GenericArray::from(block);
    Aes128::new(GenericArray::from_slice(key)).decrypt_block(&mut block);
    block.into()
}

fn xor(a: Block, b: Block) -> Block {
    std::array::from_fn(|at| a[at] ^ b[at])
}

fn inverted(block: Block) -> Block {
    block.map(|byte| !byte)
}

fn joined(a: [u8; 8], b: [u8; 8]) -> Block {
    std::array::from_fn(|at| if at < 8 { a[at] } else { b[at - 8] })
}

/// Blocks of bytes; the last one is filled with `80 00 …`, and with `always` there is such a filling in any case.
fn blocks(bytes: &[u8], always: bool) -> Vec<Block> {
    let mut bytes = bytes.to_vec();
    if always || !bytes.len().is_multiple_of(KEY) {
        bytes.push(0x80);
        bytes.resize(bytes.len().next_multiple_of(KEY), 0);
    }
    bytes.as_chunks::<KEY>().0.to_vec()
}

impl SessionKeys {
    /// From the base key and the panel's random number.
    pub(crate) fn derive(key: &Key, panel: [u8; 8]) -> Self {
        let of = |purpose: u8| {
            let mut block = [0; KEY];
            block[0] = 0x01;
            block[1] = purpose;
            block[2..8].copy_from_slice(&panel[..6]);
            encrypt(key.bytes(), block)
        };
        Self {
            encryption: of(0x82),
            mac1: of(0x01),
            mac2: of(0x02),
        }
    }

    /// What proves that the reader has the key.
    pub(crate) fn client(&self, panel: [u8; 8], reader: [u8; 8]) -> Block {
        encrypt(&self.encryption, joined(panel, reader))
    }

    /// What proves that the panel has the key.
    pub(crate) fn server(&self, panel: [u8; 8], reader: [u8; 8]) -> Block {
        encrypt(&self.encryption, joined(reader, panel))
    }

    /// The first MAC of the chain.
    pub(crate) fn initial(&self, server: Block) -> Block {
        encrypt(&self.mac2, encrypt(&self.mac1, server))
    }

    fn mac(&self, before: Block, bytes: &[u8]) -> Block {
        let blocks = blocks(bytes, false);
        let Some((last, first)) = blocks.split_last() else {
            return before;
        };
        let chain = first
            .iter()
            .fold(before, |chain, block| encrypt(&self.mac1, xor(chain, *block)));
        encrypt(&self.mac2, xor(chain, *last))
    }

    fn seal(&self, before: Block, data: &[u8]) -> Vec<u8> {
        let mut chain = inverted(before);
        let mut sealed = Vec::new();
        for block in blocks(data, true) {
            chain = encrypt(&self.encryption, xor(chain, block));
            sealed.extend(chain);
        }
        sealed
    }

    /// Decrypts whole blocks; without a filling all of it is data.
    fn unseal(&self, before: Block, sealed: &[u8]) -> Option<Vec<u8>> {
        let (blocks, rest) = sealed.as_chunks::<KEY>();
        if !rest.is_empty() || blocks.is_empty() {
            return None;
        }
        let mut chain = inverted(before);
        let mut data = Vec::new();
        for block in blocks {
            data.extend(xor(decrypt(&self.encryption, *block), chain));
            chain = *block;
        }
        let filled = data.iter().rposition(|byte| *byte != 0);
        if let Some(at) = filled.filter(|at| data[*at] == 0x80) {
            data.truncate(at);
        }
        Some(data)
    }
}

/// Compares without telling by its time how much fits.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        for key in [&mut self.encryption, &mut self.mac1, &mut self.mac2] {
            key.zeroize();
        }
    }
}

/// Which end of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Sends commands.
    Panel,
    /// Sends replies.
    Reader,
}

/// A running channel.
pub(crate) struct Session {
    keys: SessionKeys,
    /// Last MAC that we sent.
    ours: Block,
    side: Side,
    /// Last MAC of the other side.
    theirs: Block,
}

/// Why a packet is none of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecureError {
    /// In the clear, or another step of the channel.
    #[error("it is not secured")]
    Clear,
    /// The MAC does not fit: forged, repeated, or of another session.
    #[error("its MAC is wrong")]
    Mac,
    /// The data does not decrypt to anything.
    #[error("its data is no whole number of blocks")]
    Sealed,
}

impl Session {
    /// A session after the handshake: `initial` is the first MAC of the chain, which counts as the reader's.
    pub(crate) const fn new(side: Side, keys: SessionKeys, initial: Block) -> Self {
        Self {
            keys,
            ours: initial,
            side,
            theirs: initial,
        }
    }

    /// Makes a packet of the session; the chain goes on with it. To be sent again it is kept as bytes.
    pub(crate) fn wrap(&mut self, address: u8, sequence: u8, code: u8, data: &[u8]) -> Packet {
        let (plain, sealed) = match self.side {
            Side::Panel => (SecurityBlock::COMMAND, SecurityBlock::SEALED_COMMAND),
            Side::Reader => (SecurityBlock::REPLY, SecurityBlock::SEALED_REPLY),
        };
        let (kind, data) = if data.is_empty() {
            (plain, Vec::new())
        } else {
            (sealed, self.keys.seal(self.theirs, data))
        };
        let mut packet = Packet {
            address,
            is_reply: self.side == Side::Reader,
            sequence,
            check: Check::Crc,
            security: Some(SecurityBlock {
                kind,
                data: Vec::new(),
            }),
            code,
            data,
            mac: None,
        };
        self.ours = self.keys.mac(self.theirs, &packet.covered());
        packet.mac = self.ours.first_chunk().copied();
        packet
    }

    /// Checks a packet of the other side and gives its data in the clear; only then the chain goes on.
    pub(crate) fn unwrap(&mut self, packet: &Packet) -> Result<Vec<u8>, SecureError> {
        let (plain, sealed) = match self.side {
            Side::Panel => (SecurityBlock::REPLY, SecurityBlock::SEALED_REPLY),
            Side::Reader => (SecurityBlock::COMMAND, SecurityBlock::SEALED_COMMAND),
        };
        let kind = packet.security.as_ref().map(|block| block.kind);
        let is_sealed = kind == Some(sealed);
        let (Some(mac), true) = (packet.mac, is_sealed || kind == Some(plain)) else {
            return Err(SecureError::Clear);
        };
        let whole = self.keys.mac(self.ours, &packet.covered());
        if !same(&mac, &whole[..mac.len()]) {
            return Err(SecureError::Mac);
        }
        let data = if is_sealed {
            let data = self.keys.unseal(self.ours, &packet.data);
            data.ok_or(SecureError::Sealed)?
        } else {
            packet.data.clone()
        };
        self.theirs = whole;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair() -> (Session, Session) {
        let keys = SessionKeys::derive(&Key::well_known(), *b"abcdefgh");
        let initial = keys.initial(keys.server(*b"abcdefgh", *b"12345678"));
        (
            Session::new(Side::Panel, keys.clone(), initial),
            Session::new(Side::Reader, keys, initial),
        )
    }

    /// Lines `cp HEX` and `pd HEX`.
    fn recorded() -> Vec<(bool, Packet)> {
        let lines = include_str!("../testdata/session.txt").lines();
        let lines = lines.filter_map(|line| line.split_once(' ').filter(|(side, _)| *side != "#"));
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
        let packet = |digits: &str| {
            let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
            Packet::parse(&bytes).expect("a packet")
        };
        lines
            .map(|(side, digits)| (side == "cp", packet(digits)))
            .collect()
    }

    #[test]
    fn a_recorded_session_of_others_verifies_to_its_last_mac_and_is_made_alike() {
        let all = recorded();
        let code = |code: u8| {
            all.iter()
                .position(|(_, packet)| packet.code == code)
                .expect("recorded")
        };
        let challenge = code(0x76);
        let panel: [u8; 8] = all[challenge].1.data[..].try_into().expect("8 bytes");
        let reader: [u8; 8] = all[challenge + 1].1.data[8..16].try_into().expect("8 bytes");
        let key = Key::parse("101112131415161718191a1b1c1d1e1f").expect("a key");
        let keys = SessionKeys::derive(&key, panel);
        assert_eq!(keys.client(panel, reader), all[challenge + 1].1.data[16..]);
        let server = keys.server(panel, reader);
        assert_eq!(server[..], all[challenge + 2].1.data);
        let initial = keys.initial(server);
        assert_eq!(initial[..], all[challenge + 3].1.data);
        let mut cp = Session::new(Side::Panel, keys.clone(), initial);
        let mut pd = Session::new(Side::Reader, keys, initial);
        let mut said = vec![];
        for (is_command, packet) in &all[challenge + 4..] {
            let (from, to) = if *is_command {
                (&mut cp, &mut pd)
            } else {
                (&mut pd, &mut cp)
            };
            let data = to.unwrap(packet).expect("it verifies");
            assert_eq!(from.wrap(5, packet.sequence, packet.code, &data), *packet);
            if !data.is_empty() {
                said.push((packet.code, data));
            }
        }
        assert_eq!(
            said,
            [
                (0x69, vec![0, 0, 2, 10, 0, 2, 0, 30, 0, 0, 0, 0, 0, 0]),
                (0x50, vec![0, 1, 26, 0, 0xBD, 0x88, 0xEB, 0x80]),
                (0x48, vec![1, 0]),
                (0x49, vec![1, 0, 1, 0]),
            ]
        );
    }

    #[test]
    fn a_packet_counts_once_and_in_its_place_only() {
        let (mut panel, mut reader) = pair();
        let first = panel.wrap(1, 1, 0x60, &[]);
        assert_eq!(reader.unwrap(&first), Ok(vec![]));
        let answer = reader.wrap(1, 1, 0x50, &[0, 1, 26, 0, 1, 2, 3, 0x80]);
        assert_eq!(panel.unwrap(&answer), Ok(vec![0, 1, 26, 0, 1, 2, 3, 0x80]));
        // the same card once more
        let second = panel.wrap(1, 2, 0x60, &[]);
        assert_eq!(panel.unwrap(&answer), Err(SecureError::Mac));
        let mut clear = answer.clone();
        (clear.security, clear.mac) = (None, None);
        assert_eq!(panel.unwrap(&clear), Err(SecureError::Clear));
        // the refused ones did no harm
        assert_eq!(reader.unwrap(&second), Ok(vec![]));
        let answer = reader.wrap(1, 2, 0x40, &[]);
        assert_eq!(panel.unwrap(&answer), Ok(vec![]));
    }

    #[test]
    fn keys_of_another_base_or_number_prove_nothing() {
        let (a, b) = (*b"abcdefgh", *b"12345678");
        let ours = SessionKeys::derive(&Key::well_known(), a).client(a, b);
        let other = Key::new([7; 16]);
        assert_ne!(ours, SessionKeys::derive(&other, a).client(a, b));
        assert_ne!(ours, SessionKeys::derive(&Key::well_known(), b).client(b, b));
        assert_ne!(ours, SessionKeys::derive(&Key::well_known(), a).server(a, b));
    }

    proptest! {
        #[test]
        fn data_passes_and_any_change_of_a_packet_is_refused(
            data in prop::collection::vec(any::<u8>(), 0..80),
            at in 0_usize..100,
            xor in 1_u8..,
        ) {
            let (mut panel, mut reader) = pair();
            let packet = panel.wrap(9, 1, 0x69, &data);
            let mut bytes = packet.encode();
            // change what the MAC covers, and make the check right again
            let end = bytes.len() - 6;
            bytes[5 + at % (end - 5)] ^= xor;
            bytes.truncate(bytes.len() - 2);
            let mut changed = packet.clone();
            changed.code = bytes[7];
            changed.data = bytes[8..end].to_vec();
            changed.security = Some(SecurityBlock { kind: bytes[6], data: vec![] });
            if changed != packet {
                prop_assert!(reader.unwrap(&changed).is_err());
            }
            prop_assert_eq!(reader.unwrap(&packet), Ok(data));
        }
    }
}
