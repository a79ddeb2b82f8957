//! Values of `[directory]`.

use std::time::Duration;

use gateway_ldap::Filter;

use crate::describe::words;
use crate::rules::FromText;

words! {
    /// Protection of the connection to a directory.
    pub enum DirectoryTls {
        /// TLS from the first octet on.
        Ldaps = "ldaps",
        /// None: the password travels in clear.
        Off = "off",
        /// TLS before anything else is said, at the port for plain LDAP.
        StartTls = "starttls",
    }
}

words! {
    /// When a directory is read, besides at the start.
    pub enum DirectoryRefresh {
        /// Not before the next start.
        Start = "start",
        /// After each call.
        AfterCall = "after-call",
        /// Every 5 minutes.
        Min5 = "5 min",
        /// Every 15 minutes.
        Min15 = "15 min",
        /// Every 30 minutes.
        Min30 = "30 min",
        /// Every 45 minutes.
        Min45 = "45 min",
        /// Every hour.
        Min60 = "60 min",
    }
}

impl DirectoryRefresh {
    /// The time between two readings, if it goes by the clock.
    #[must_use]
    pub const fn every(self) -> Option<Duration> {
        let minutes = match self {
            Self::AfterCall | Self::Start => return None,
            Self::Min5 => 5,
            Self::Min15 => 15,
            Self::Min30 => 30,
            Self::Min45 => 45,
            Self::Min60 => 60,
        };
        Some(Duration::from_secs(minutes * 60))
    }
}

impl FromText for Filter {
    const WHAT: &'static str = "an LDAP filter";
    fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| format!("RFC 4515, such as (telephoneNumber=*); {error}"))
    }
}

/// Name or number of an LDAP attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeName(String);

impl AttributeName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for AttributeName {
    const WHAT: &'static str = "an attribute";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9][A-Za-z0-9.;-]{0,63}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let of_name = |b: u8| b.is_ascii_alphanumeric() || b".;-".contains(&b);
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= 64 && text.bytes().all(of_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err("1 to 64 of A-Z a-z 0-9 - . ;".to_owned())
        }
    }
}
