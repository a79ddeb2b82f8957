//! What the supplicant's control socket says. Its text is from a neighbour program that repeats what a stranger's
//! server sent: nothing here trusts it to be short or well formed.

/// An unsolicited message that matters, without its level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A method could not even be started: a file or a passphrase is wrong.
    CannotInitialize,
    /// The supplicant connected.
    Connected,
    /// The authentication failed.
    Failure,
    /// A method was agreed on.
    MethodSelected,
    /// The server named a method; true if it is none of ours.
    Proposed { refused: bool },
    /// A conversation began: the authenticator asked who we are.
    Started,
    /// The authentication succeeded.
    Success,
    /// The inner method said that user or password are wrong.
    WrongPassword,
    /// The server's certificate was not accepted.
    CertificateError(Doubt),
}

/// Why a server's certificate was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Expired,
    NameMismatch,
    NotYetValid,
    Other,
    Revoked,
    UnknownCa,
}

impl Doubt {
    /// The word of the event.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NameMismatch => "name-mismatch",
            Self::NotYetValid => "not-yet-valid",
            Self::Other => "other",
            Self::Revoked => "revoked",
            Self::UnknownCa => "unknown-ca",
        }
    }

    /// By the number in `reason=` (`enum tls_fail_reason` of the supplicant).
    fn of(number: &str) -> Self {
        match number {
            "1" => Self::UnknownCa,
            "2" => Self::Revoked,
            "3" => Self::NotYetValid,
            "4" => Self::Expired,
            "5" | "6" | "9" | "10" => Self::NameMismatch,
            _ => Self::Other,
        }
    }
}

impl Message {
    /// Reads `<3>TEXT`; `None` if it is no message, or none that matters.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (level, text) = text.strip_prefix('<')?.split_once('>')?;
        if level.len() != 1 {
            return None;
        }
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word.trim_end() {
            "CTRL-EVENT-CONNECTED" => Self::Connected,
            "CTRL-EVENT-EAP-FAILURE" => Self::Failure,
            "CTRL-EVENT-EAP-METHOD" => Self::MethodSelected,
            "CTRL-EVENT-EAP-PROPOSED-METHOD" => Self::Proposed {
                refused: rest.contains("-> NAK"),
            },
            "CTRL-EVENT-EAP-STARTED" => Self::Started,
            "CTRL-EVENT-EAP-SUCCESS" => Self::Success,
            "CTRL-EVENT-EAP-TLS-CERT-ERROR" => {
                let number = rest.split(' ').find_map(|part| part.strip_prefix("reason="));
                Self::CertificateError(Doubt::of(number.unwrap_or_default()))
            }
            "EAP:" if rest.starts_with("Failed to initialize EAP method") => Self::CannotInitialize,
            // RFC 2759 §6: 691 is an authentication failure; 646 to 649 and 709 are about the account
            "EAP-MSCHAPV2:" if rest.starts_with("failure message") => Self::WrongPassword,
            _ => return None,
        })
    }
}

/// What `STATUS` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// `suppPortStatus`: the one truth.
    pub(crate) authorized: bool,
    /// Inner method.
    pub(crate) inner: String,
    /// Method.
    pub(crate) method: String,
    /// TLS version.
    pub(crate) tls: String,
}

/// Longest text taken over from the supplicant, in characters.
const LONGEST: usize = 60;

impl Status {
    /// Reads the answer to `STATUS`; `None` if it does not tell the port's state, as right after the start.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut status = Self::default();
        let mut known = false;
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = || {
                value
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(LONGEST)
                    .collect::<String>()
            };
            match key {
                "suppPortStatus" => {
                    known = true;
                    status.authorized = value() == "Authorized";
                }
                "selectedMethod" => status.method = in_brackets(&value()),
                "eap_tls_version" => status.tls = value(),
                _ if key.ends_with("Phase2 method") => status.inner = value(),
                _ => {}
            }
        }
        known.then_some(status)
    }
}

/// `25 (EAP-PEAP)` is `EAP-PEAP`.
fn in_brackets(text: &str) -> String {
    let inner = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or(text, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_wpa_supplicant_2_10_are_understood() {
        let check =
            |text: &str, expected: Option<Message>| assert_eq!(Message::read(text), expected, "{text}");
        check(
            "<3>CTRL-EVENT-EAP-STARTED EAP authentication started",
            Some(Message::Started),
        );
        check(
            "<3>CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=4 -> NAK",
            Some(Message::Proposed { refused: true }),
        );
        check(
            "<3>CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=25",
            Some(Message::Proposed { refused: false }),
        );
        check(
            "<3>CTRL-EVENT-EAP-METHOD EAP vendor 0 method 25 (PEAP) selected",
            Some(Message::MethodSelected),
        );
        check(
            "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=4 depth=0 subject='/O=Lab' err='certificate has expired'",
            Some(Message::CertificateError(Doubt::Expired)),
        );
        check(
            "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=0 subject='x' err='unable to get local issuer certificate'",
            Some(Message::CertificateError(Doubt::UnknownCa)),
        );
        check(
            "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=9 depth=0 subject='x' err='Domain suffix mismatch'",
            Some(Message::CertificateError(Doubt::NameMismatch)),
        );
        check(
            "<4>EAP: Failed to initialize EAP method: vendor 0 method 13 (TLS)",
            Some(Message::CannotInitialize),
        );
        check(
            "<4>EAP-MSCHAPV2: failure message: '' (retry allowed, error 691)",
            Some(Message::WrongPassword),
        );
        check(
            "<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed",
            Some(Message::Failure),
        );
        check(
            "<3>CTRL-EVENT-EAP-SUCCESS EAP authentication completed successfully",
            Some(Message::Success),
        );
        check(
            "<3>CTRL-EVENT-CONNECTED - Connection to 01:80:c2:00:00:03 completed [id=0 id_str=]",
            Some(Message::Connected),
        );
        check(
            "<3>CTRL-EVENT-EAP-PEER-CERT depth=0 subject='/CN=x' cert=3082",
            None,
        );
        check("CTRL-EVENT-EAP-FAILURE", None);
        check("<33>CTRL-EVENT-EAP-FAILURE", None);
        check("", None);
    }

    #[test]
    fn the_port_is_what_its_status_says_and_not_what_the_rest_says() {
        let text = "wpa_state=COMPLETED\nSupplicant PAE state=AUTHENTICATED\nsuppPortStatus=Authorized\n\
                    selectedMethod=25 (EAP-PEAP)\neap_tls_version=TLSv1.2\nEAP-PEAPv0 Phase2 method=MSCHAPV2\n";
        let status = Status::read(text).expect("tells");
        assert_eq!(
            (
                status.authorized,
                status.method.as_str(),
                status.inner.as_str(),
                status.tls.as_str()
            ),
            (true, "EAP-PEAP", "MSCHAPV2", "TLSv1.2")
        );
        let refused = "wpa_state=COMPLETED\nsuppPortStatus=Unauthorized\n";
        assert_eq!(Status::read(refused).map(|s| s.authorized), Some(false));
        assert_eq!(Status::read("wpa_state=DISCONNECTED\n"), None);
        assert_eq!(Status::read("FAIL\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_keep_much(text in any::<Vec<u8>>()) {
            let text = String::from_utf8_lossy(&text);
            let _ = Message::read(&text);
            let _ = Message::read(&format!("<3>CTRL-EVENT-EAP-TLS-CERT-ERROR {text}"));
            if let Some(status) = Status::read(&format!("suppPortStatus={text}\nselectedMethod={text}")) {
                prop_assert!(status.method.chars().count() <= LONGEST);
            }
        }
    }
}
