//! Strict writer: CRLF, fields in the order of RFC 8866 §5.

use std::fmt;
use std::net::IpAddr;

use super::{Attribute, SessionDescription};

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

fn attributes(f: &mut fmt::Formatter<'_>, list: &[Attribute]) -> fmt::Result {
    for a in list {
        match &a.value {
            None => write!(f, "a={}\r\n", a.name)?,
            Some(v) => write!(f, "a={}:{v}\r\n", a.name)?,
        }
    }
    Ok(())
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        let net = if o.address.contains(':') { "IP6" } else { "IP4" };
        write!(
            f,
            "v=0\r\no={} {} {} IN {net} {}\r\n",
            o.user, o.session, o.version, o.address
        )?;
        write!(f, "s={}\r\n", if self.name.is_empty() { "-" } else { &self.name })?;
        if let Some(c) = self.connection {
            write!(f, "c=IN {} {c}\r\n", family(c))?;
        }
        f.write_str("t=0 0\r\n")?;
        attributes(f, &self.attributes)?;
        for m in &self.media {
            write!(f, "m={} {} {}", m.kind, m.port, m.transport)?;
            for format in &m.formats {
                write!(f, " {format}")?;
            }
            f.write_str("\r\n")?;
            if let Some(c) = m.connection {
                write!(f, "c=IN {} {c}\r\n", family(c))?;
            }
            attributes(f, &m.attributes)?;
        }
        Ok(())
    }
}
