//! What a description says of a DTLS handshake: `a=fingerprint` (RFC 8122) and `a=setup` (RFC 4145, RFC 5763 §5).

use super::{Attribute, MediaLine, SessionDescription};
use crate::dtls::Fingerprint;

/// Fingerprints of one description that are looked at.
const MOST: usize = 8;

/// The other side of a handshake, as agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsPeer {
    /// We begin: the client.
    pub active: bool,
    /// One of these is that of the other side's certificate.
    pub fingerprints: Vec<Fingerprint>,
}

/// Who begins, as a description has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// The writer does.
    Active,
    /// Either; only in offers.
    ActPass,
    /// The reader does.
    Passive,
}

impl Setup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

/// What a line offers, or answers, for a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    pub(super) setup: Setup,
    pub(super) fingerprints: Vec<Fingerprint>,
}

impl Handshake {
    /// Reads the attributes of a line, or those of the session that stand for all lines. `otherwise` is what no `a=setup`
    /// means. `None` without a fingerprint that counts, and for `holdconn`, which nobody can speak over.
    pub(super) fn read(session: &SessionDescription, line: &MediaLine, otherwise: Setup) -> Option<Self> {
        let lists = [&line.attributes, &session.attributes];
        let values = |name: &'static str| {
            let named = move |a: &&Attribute| a.name.eq_ignore_ascii_case(name);
            let list = lists.into_iter().find(|list| list.iter().any(|a| named(&a)));
            let list = list.map(Vec::as_slice).unwrap_or_default();
            list.iter().filter(named).filter_map(|a| a.value.as_deref())
        };
        let fingerprints: Vec<_> = values("fingerprint")
            .filter_map(Fingerprint::parse)
            .take(MOST)
            .collect();
        let said = values("setup").next();
        let setup = match said.map(str::to_ascii_lowercase).as_deref() {
            None => otherwise,
            Some("active") => Setup::Active,
            Some("actpass") => Setup::ActPass,
            Some("passive") => Setup::Passive,
            Some(_) => return None,
        };
        (!fingerprints.is_empty()).then_some(Self { setup, fingerprints })
    }

    /// Do we begin? Where either may, the answerer does (RFC 5763 §5), unless who it is, is settled since before.
    pub(super) fn active(&self, before: Option<bool>) -> bool {
        match self.setup {
            Setup::Active => false,
            Setup::ActPass => before.unwrap_or(true),
            Setup::Passive => true,
        }
    }
}

/// Our attributes.
pub(super) fn write(fingerprint: &Fingerprint, setup: Setup) -> [Attribute; 2] {
    [
        Attribute::new("fingerprint", fingerprint.to_string()),
        Attribute::new("setup", setup.as_str()),
    ]
}
