//! Session descriptions: one stream of A-law, with or without telephone events, with or without keys of SRTP.

use anyhow::{Context as _, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytesstr::BytesStr;
use ezk_sdp_types::{MediaDescription, SessionDescription, SrtpSuite, TransportProtocol};
use std::net::{Ipv4Addr, SocketAddr};

use crate::srtp::KEY;

/// Payload type of A-law, RFC 3551 §6.
pub(crate) const A_LAW: u8 = 8;
/// Payload type of telephone events in offers of this phone.
const EVENTS: u8 = 101;

/// What this side wants.
#[derive(Clone, Copy)]
pub(crate) struct Ours {
    /// Telephone events are offered and taken.
    pub(crate) events: bool,
    /// Port of the speech.
    pub(crate) port: u16,
    /// Key and salt of what this side sends, and nothing without them; else no encryption at all.
    pub(crate) key: Option<[u8; KEY]>,
}

/// What the other side said.
#[derive(Debug)]
pub(crate) struct Theirs {
    /// Payload type that it wants for telephone events.
    pub(crate) events: Option<u8>,
    /// Key and salt of what it sends, and the tag that an answer has to repeat.
    pub(crate) key: Option<(u32, [u8; KEY])>,
    /// Where its speech is heard.
    pub(crate) to: SocketAddr,
}

impl Ours {
    /// An offer.
    pub(crate) fn offer(self) -> anyhow::Result<String> {
        self.text(1, self.events.then_some(EVENTS))
    }

    /// The answer to an offer.
    pub(crate) fn answer(self, theirs: &Theirs) -> anyhow::Result<String> {
        let tag = theirs.key.map_or(1, |(tag, _)| tag);
        self.text(tag, theirs.events.filter(|_| self.events))
    }

    /// Written by the stack, so that what is sent is its notation.
    fn text(self, tag: u32, events: Option<u8>) -> anyhow::Result<String> {
        let (profile, port) = (if self.key.is_some() { "SAVP" } else { "AVP" }, self.port);
        let formats = events.map(|kind| format!(" {kind}")).unwrap_or_default();
        let mut text = format!(
            "v=0\r\no=- {port} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/{profile} {A_LAW}{formats}\r\na=rtpmap:{A_LAW} PCMA/8000\r\n"
        );
        if let Some(kind) = events {
            text += &format!("a=rtpmap:{kind} telephone-event/8000\r\na=fmtp:{kind} 0-15\r\n");
        }
        if let Some(key) = self.key {
            let key = BASE64_STANDARD.encode(key);
            text += &format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
        }
        let ours = SessionDescription::parse(&BytesStr::from(text + "a=sendrecv\r\n"))?;
        Ok(ours.to_string())
    }

    /// Reads an offer or answer, which must be as secret as this side is.
    pub(crate) fn read(self, text: &[u8]) -> anyhow::Result<Theirs> {
        let text = BytesStr::from(std::str::from_utf8(text)?.to_owned());
        let session = SessionDescription::parse(&text)?;
        let media = session.media_descriptions.first().context("no media")?;
        ensure!(
            media.media.fmts.contains(&A_LAW),
            "no A-law in {:?}",
            media.media.fmts
        );
        let secret = match media.media.proto {
            TransportProtocol::RtpAvp => false,
            TransportProtocol::RtpSavp => true,
            ref other => bail!("speech over {other}"),
        };
        ensure!(secret == self.key.is_some(), "speech over {}", media.media.proto);
        let events = media
            .rtpmap
            .iter()
            .find(|map| map.encoding.eq_ignore_ascii_case("telephone-event") && map.clock_rate == 8000);
        Ok(Theirs {
            events: events.map(|map| map.payload),
            key: if secret { Some(key(media)?) } else { None },
            to: SocketAddr::from((Ipv4Addr::LOCALHOST, media.media.port)),
        })
    }
}

fn key(media: &MediaDescription) -> anyhow::Result<(u32, [u8; KEY])> {
    let mut all = media.crypto.iter();
    let crypto = all.find(|line| line.suite == SrtpSuite::AES_CM_128_HMAC_SHA1_80);
    let crypto = crypto.context("no key for AES_CM_128_HMAC_SHA1_80")?;
    let text = &crypto.keys.first().context("a line without key")?.key_and_salt;
    let bytes = BASE64_STANDARD.decode(text.as_bytes())?;
    let bytes = bytes.try_into().ok().context("a key of another length")?;
    Ok((crypto.tag, bytes))
}
