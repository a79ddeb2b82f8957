//! Tolerant parser with limits: bare LF, missing `s=` or `t=`, unknown lines and trailing blanks are taken.

use std::net::IpAddr;

use super::{Attribute, MediaLine, Origin, SdpError, SessionDescription};

const MAX_BYTES: usize = 32 * 1024;
const MAX_LINES: usize = 1_000;
const MAX_MEDIA: usize = 16;
const MAX_ATTRIBUTES: usize = 256;
const MAX_FORMATS: usize = 64;

impl SessionDescription {
    /// Reads a description. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// [`SdpError`] if it is not version 0, a c=, m= or o= line is broken, or it exceeds 32 KiB, 1000 lines,
    /// 16 m-lines, 256 attributes or 64 formats of a stream.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLarge { limit: "32 KiB" });
        }
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::default();
        for (index, line) in text.split('\n').enumerate() {
            if index >= MAX_LINES {
                return Err(SdpError::TooLarge { limit: "1000 lines" });
            }
            reader.line(index + 1, line.trim_end_matches(['\r', ' ', '\t', '\0']))?;
        }
        if !reader.version {
            return Err(SdpError::Version);
        }
        Ok(Self {
            origin: reader.origin.unwrap_or(Origin {
                user: "-".into(),
                session: 0,
                version: 0,
                address: "0.0.0.0".into(),
            }),
            name: reader.name,
            connection: reader.connection,
            attributes: reader.attributes,
            media: reader.media,
        })
    }
}

#[derive(Default)]
struct Reader {
    version: bool,
    origin: Option<Origin>,
    name: String,
    connection: Option<IpAddr>,
    attributes: Vec<Attribute>,
    media: Vec<MediaLine>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), SdpError> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let mut chars = line.chars();
        let field = chars.next().unwrap_or(' ');
        if chars.next() != Some('=') {
            return if self.version {
                Ok(())
            } else {
                Err(SdpError::Version)
            };
        }
        let value = chars.as_str();
        let bad = || SdpError::BadLine {
            line: number,
            field,
            text: value.chars().take(60).collect(),
        };
        let version = field == 'v' && value.trim() == "0";
        if !self.version && !version {
            return Err(SdpError::Version);
        }
        match field {
            'v' => self.version = true,
            'o' => self.origin = Some(origin(value).ok_or_else(bad)?),
            's' => value.trim().clone_into(&mut self.name),
            'c' => {
                let address = connection(value).ok_or_else(bad)?;
                match self.media.last_mut() {
                    Some(m) => m.connection = m.connection.or(address),
                    None => self.connection = address,
                }
            }
            'm' => {
                if self.media.len() == MAX_MEDIA {
                    return Err(SdpError::TooLarge { limit: "16 m-lines" });
                }
                self.media.push(media(value).ok_or_else(bad)?);
            }
            'a' => {
                let list = match self.media.last_mut() {
                    Some(m) => &mut m.attributes,
                    None => &mut self.attributes,
                };
                if list.len() == MAX_ATTRIBUTES {
                    return Err(SdpError::TooLarge {
                        limit: "256 attributes",
                    });
                }
                list.push(match value.split_once(':') {
                    Some((name, v)) => Attribute::new(name.trim(), v.trim()),
                    None => Attribute::flag(value.trim()),
                });
            }
            _ => {}
        }
        Ok(())
    }
}

fn origin(value: &str) -> Option<Origin> {
    let mut words = value.split_ascii_whitespace();
    let user = words.next()?.to_owned();
    // Some devices write 20-digit or negative ids; they are only compared, so digits beyond u64 may be lost.
    let number = |w: &str| -> Option<u64> {
        let digits = w.trim_start_matches('-');
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let session = number(words.next()?)?;
    let version = number(words.next()?)?;
    let address = words.nth(2).unwrap_or("0.0.0.0").to_owned();
    Some(Origin {
        user,
        session,
        version,
        address,
    })
}

/// `Some(None)` is a line we understand but cannot use: a host name.
fn connection(value: &str) -> Option<Option<IpAddr>> {
    let mut words = value.split_ascii_whitespace();
    let net = words.next()?;
    let family = words.next()?;
    let address = words.next()?.split('/').next()?;
    if !net.eq_ignore_ascii_case("IN")
        || !(family.eq_ignore_ascii_case("IP4") || family.eq_ignore_ascii_case("IP6"))
    {
        return None;
    }
    Some(address.parse().ok())
}

fn media(value: &str) -> Option<MediaLine> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?.to_ascii_lowercase();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let transport = words.next()?.to_ascii_uppercase();
    let formats: Vec<String> = words.by_ref().take(MAX_FORMATS).map(str::to_owned).collect();
    if words.next().is_some() {
        return None;
    }
    Some(MediaLine {
        kind,
        port,
        transport,
        formats,
        connection: None,
        attributes: Vec::new(),
    })
}
