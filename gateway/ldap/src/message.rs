//! Messages (RFC 4511 §4): what is asked, and what is answered.

use crate::ber::{BerError, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, Writer};
use crate::filter::Filter;

const BIND: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONTROLS: u8 = 0xa0;

/// RFC 4511 §4.14.1.
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// RFC 2696.
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Octets of a diagnostic message, a cookie or a DN that are kept.
const KEPT: usize = 4096;
/// Attributes of an entry, and values of an attribute, that are looked at.
const LOOKED_AT: usize = 64;

/// Attributes of an entry: names with their values.
pub(crate) type Attributes = Vec<(String, Vec<Vec<u8>>)>;

/// Result code and what the server says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LdapResult {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Bind(LdapResult),
    /// The end of a page, and the cookie for the next one.
    Done(LdapResult, Vec<u8>),
    /// Attributes of one entry.
    Entry(Attributes),
    Extended(LdapResult),
    /// Entries elsewhere, which are not looked for.
    Reference,
    /// Something else, by its tag.
    Other(u8),
}

fn envelope(id: u32, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.nested(SEQUENCE, |w| {
        w.number(INTEGER, id);
        body(w);
    });
    writer.done()
}

/// A simple bind; without name and password it is anonymous.
pub(crate) fn bind(id: u32, dn: &str, password: &str) -> Vec<u8> {
    envelope(id, |w| {
        w.nested(BIND, |w| {
            w.number(INTEGER, 3).text(dn).octets(0x80, password.as_bytes());
        });
    })
}

pub(crate) fn unbind(id: u32) -> Vec<u8> {
    envelope(id, |w| {
        w.octets(UNBIND, &[]);
    })
}

pub(crate) fn start_tls(id: u32) -> Vec<u8> {
    envelope(id, |w| {
        w.nested(EXTENDED, |w| {
            w.octets(0x80, START_TLS.as_bytes());
        });
    })
}

/// One page of a search of the whole tree below `base`.
pub(crate) fn search(
    id: u32,
    base: &str,
    filter: &Filter,
    attributes: &[&str],
    (page, cookie): (u32, &[u8]),
) -> Vec<u8> {
    envelope(id, |w| {
        w.nested(SEARCH, |w| {
            // wholeSubtree, neverDerefAliases, no limits but ours, values wanted
            w.text(base).number(ENUMERATED, 2).number(ENUMERATED, 0);
            w.number(INTEGER, 0).number(INTEGER, 0).boolean(false);
            w.raw(filter.bytes());
            w.nested(SEQUENCE, |w| {
                for attribute in attributes {
                    w.text(attribute);
                }
            });
        });
        w.nested(CONTROLS, |w| {
            w.nested(SEQUENCE, |w| {
                let mut value = Writer::default();
                value.nested(SEQUENCE, |w| {
                    w.number(INTEGER, page).octets(OCTETS, cookie);
                });
                w.text(PAGED_RESULTS).octets(OCTETS, &value.done());
            });
        });
    })
}

/// Reads one whole message: its id and what it says.
pub(crate) fn read(bytes: &[u8]) -> Result<(i32, Answer), BerError> {
    let mut message = Reader::new(bytes).sequence()?;
    let id = message.integer(INTEGER)?;
    let (tag, body) = message.any()?;
    let mut body = Reader::new(body);
    let answer = match tag {
        BIND_RESPONSE => Answer::Bind(result(&mut body)?),
        EXTENDED_RESPONSE => Answer::Extended(result(&mut body)?),
        SEARCH_DONE => Answer::Done(result(&mut body)?, cookie(message)?),
        ENTRY => {
            body.wanted(OCTETS)?;
            Answer::Entry(attributes(body.sequence()?)?)
        }
        REFERENCE => Answer::Reference,
        other => Answer::Other(other),
    };
    Ok((id, answer))
}

fn result(body: &mut Reader<'_>) -> Result<LdapResult, BerError> {
    let code = body.integer(ENUMERATED)?;
    body.wanted(OCTETS)?;
    let text = body.wanted(OCTETS)?;
    let text = &text[..text.len().min(KEPT)];
    Ok(LdapResult {
        code,
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

fn attributes(mut list: Reader<'_>) -> Result<Attributes, BerError> {
    let mut all = Vec::new();
    while !list.is_empty() && all.len() < LOOKED_AT {
        let mut attribute = list.sequence()?;
        let name = attribute.wanted(OCTETS)?;
        // SET OF
        let mut set = Reader::new(attribute.wanted(0x31)?);
        let mut values = Vec::new();
        while !set.is_empty() && values.len() < LOOKED_AT {
            let value = set.wanted(OCTETS)?;
            values.push(value[..value.len().min(KEPT)].to_vec());
        }
        let name = String::from_utf8_lossy(&name[..name.len().min(KEPT)]).into_owned();
        all.push((name, values));
    }
    Ok(all)
}

/// The cookie of the paged results; empty if this was the last page, or the server knows no pages.
fn cookie(mut message: Reader<'_>) -> Result<Vec<u8>, BerError> {
    if message.peek() != Some(CONTROLS) {
        return Ok(Vec::new());
    }
    let mut controls = Reader::new(message.wanted(CONTROLS)?);
    while !controls.is_empty() {
        let mut control = controls.sequence()?;
        if control.wanted(OCTETS)? != PAGED_RESULTS.as_bytes() {
            continue;
        }
        // criticality, if it is there
        if control.peek() == Some(crate::ber::BOOLEAN) {
            control.any()?;
        }
        let mut value = Reader::new(control.wanted(OCTETS)?).sequence()?;
        value.integer(INTEGER)?;
        let cookie = value.wanted(OCTETS)?;
        if cookie.len() > KEPT {
            return Err(BerError::TooLong(cookie.len()));
        }
        return Ok(cookie.to_vec());
    }
    Ok(Vec::new())
}

/// What a server would send, for tests.
#[cfg(test)]
pub(crate) mod server {
    use super::*;

    fn answer(id: u32, tag: u8, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
        envelope(id, |w| {
            w.nested(tag, body);
        })
    }

    fn result(w: &mut Writer, code: u32, text: &str) {
        w.number(ENUMERATED, code).text("").text(text);
    }

    pub(crate) fn bound(id: u32, code: u32, text: &str) -> Vec<u8> {
        answer(id, BIND_RESPONSE, |w| result(w, code, text))
    }

    pub(crate) fn extended(id: u32, code: u32, text: &str) -> Vec<u8> {
        answer(id, EXTENDED_RESPONSE, |w| result(w, code, text))
    }

    pub(crate) fn reference(id: u32) -> Vec<u8> {
        answer(id, REFERENCE, |w| {
            w.text("ldap://elsewhere/");
        })
    }

    pub(crate) fn entry(id: u32, attributes: &[(&str, &str)]) -> Vec<u8> {
        answer(id, ENTRY, |w| {
            w.text("cn=x").nested(SEQUENCE, |w| {
                for (name, value) in attributes {
                    w.nested(SEQUENCE, |w| {
                        w.text(name).nested(0x31, |w| {
                            w.text(value);
                        });
                    });
                }
            });
        })
    }

    pub(crate) fn done(id: u32, code: u32, cookie: Option<&[u8]>) -> Vec<u8> {
        envelope(id, |w| {
            w.nested(SEARCH_DONE, |w| result(w, code, "as said"));
            if let Some(cookie) = cookie {
                w.nested(CONTROLS, |w| {
                    w.nested(SEQUENCE, |w| {
                        let mut value = Writer::default();
                        value.nested(SEQUENCE, |w| {
                            w.number(INTEGER, 0).octets(OCTETS, cookie);
                        });
                        w.text(PAGED_RESULTS).boolean(false).octets(OCTETS, &value.done());
                    });
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_the_octets_of_rfc_4511() {
        let octets = [
            &[0x30, 17, 2, 1, 1, 0x60, 12, 2, 1, 3, 4, 4][..],
            b"cn=a",
            &[0x80, 1, b'b'],
        ];
        assert_eq!(bind(1, "cn=a", "b"), octets.concat());
        assert_eq!(unbind(3), [0x30, 5, 2, 1, 3, 0x42, 0]);
        let tls = start_tls(1);
        assert_eq!(tls[..9], [0x30, 29, 2, 1, 1, 0x77, 24, 0x80, 22]);
        assert_eq!(&tls[9..], b"1.3.6.1.4.1.1466.20037");
    }

    #[test]
    fn the_cookie_of_a_page_is_found_and_a_server_without_pages_has_none() {
        let cookie = |bytes: &[u8]| {
            let Ok((7, Answer::Done(result, cookie))) = read(bytes) else {
                panic!("{bytes:02x?}");
            };
            (result.code, cookie)
        };
        assert_eq!(cookie(&server::done(7, 0, Some(b"next"))), (0, b"next".to_vec()));
        assert_eq!(cookie(&server::done(7, 4, Some(b""))), (4, vec![]));
        assert_eq!(cookie(&server::done(7, 0, None)), (0, vec![]));
    }

    proptest! {
        #[test]
        fn any_octets_are_an_answer_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0x60_u8..0x80
        ) {
            let _ = read(&bytes);
            let framed = envelope(1, |w| { w.octets(tag, &bytes); });
            let _ = read(&framed);
        }
    }
}
