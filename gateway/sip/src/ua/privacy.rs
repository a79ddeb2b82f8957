//! Who wants to be shown to nobody (RFC 3323, RFC 3325), and calls of ours that do not say who we are.
//!
//! A PBX names its caller by P-Asserted-Identity and asks by Privacy not to show him: then he is compared with those who are
//! known, and told to nobody. Whoever calls directly is not believed what he asserts; that he wants to be anonymous is.

use crate::{HeaderName, Headers, NameAddr, Request, Uri};

/// The host of an address that is nobody's (RFC 3323 §4.1.1.3).
const NOWHERE: &str = "anonymous.invalid";

/// What a call of ours says of who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    /// From says nothing; the PBX is told by P-Preferred-Identity, and asked not to pass it on.
    Anonymous,
    /// From says it, and the PBX is asked not to pass it on.
    Id,
    /// Everything.
    #[default]
    Off,
}

impl Privacy {
    /// From as it is written, with what stands beside it.
    pub(crate) fn apply(self, from: NameAddr) -> (NameAddr, Vec<(HeaderName, String)>) {
        let id = || (HeaderName::Privacy, "id".to_owned());
        match self {
            Self::Off => (from, Vec::new()),
            Self::Id => (from, vec![id()]),
            Self::Anonymous => {
                let nowhere = crate::Host::Name(NOWHERE.to_owned());
                let mut nobody = NameAddr::new(Uri::sip(Some("anonymous"), nowhere, None));
                nobody.params = from.params.clone();
                let us = NameAddr::new(from.uri);
                let preferred = (HeaderName::PPreferredIdentity, us.to_string());
                (nobody.with_display("Anonymous"), vec![preferred, id()])
            }
        }
    }
}

/// Does the message ask that who sends it is not shown? `none` says that he may be, whatever else stands there (RFC 3323
/// §4.2).
pub(crate) fn wanted(headers: &Headers) -> bool {
    let (mut hidden, mut open) = (false, false);
    for value in headers.all(&HeaderName::Privacy) {
        for word in value.text().split([';', ',']).map(str::trim) {
            open |= word.eq_ignore_ascii_case("none");
            hidden |= ["id", "user", "header"]
                .iter()
                .any(|w| word.eq_ignore_ascii_case(w));
        }
    }
    hidden && !open
}

/// Does whoever sends this request want to be shown to nobody? From may say so as well.
pub(crate) fn of_request(request: &Request) -> bool {
    let from = request.headers.from_addr().ok();
    let host = from
        .as_ref()
        .and_then(|from| from.uri.as_sip())
        .map(|uri| uri.host.to_string());
    let nobody = host.is_some_and(|host| {
        let host = host.to_ascii_lowercase();
        host == NOWHERE || host.ends_with(".anonymous.invalid")
    });
    nobody || wanted(&request.headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Host, Method};
    use proptest::prelude::*;

    fn asks(value: &str) -> bool {
        let mut headers = Headers::new();
        headers.push(HeaderName::Privacy, value);
        wanted(&headers)
    }

    fn from(text: &str) -> bool {
        let uri = Uri::sip(Some("503"), Host::Name("pbx.example".into()), None);
        of_request(&Request::new(Method::INVITE, uri).with(HeaderName::From, text))
    }

    #[test]
    fn each_word_that_hides_the_identity_hides_it_and_none_shows_it() {
        for value in [
            "id",
            "ID",
            "user",
            "header",
            "session;id",
            "critical; id",
            "user,id",
        ] {
            assert!(asks(value), "{value}");
        }
        for value in ["none", "", "session", "critical", "identity", "id;none"] {
            assert!(!asks(value), "{value}");
        }
        assert!(!wanted(&Headers::new()));
    }

    #[test]
    fn a_from_that_is_nobodys_hides_it_and_a_name_alone_does_not() {
        assert!(from("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1"));
        assert!(from("<sip:x@Anonymous.Invalid>;tag=1"));
        assert!(!from("\"Anonymous\" <sip:1000@pbx.example>;tag=1"));
        assert!(!from("<sip:anonymous@pbx.example>;tag=1"));
    }

    #[test]
    fn an_anonymous_call_keeps_its_tag_and_tells_the_pbx_alone() {
        let us = NameAddr::parse("\"Door\" <sip:503@pbx.example>;tag=7").expect("an address");
        let (said, beside) = Privacy::Anonymous.apply(us.clone());
        assert_eq!(
            said.to_string(),
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=7"
        );
        assert_eq!(
            beside[0],
            (HeaderName::PPreferredIdentity, "<sip:503@pbx.example>".into())
        );
        assert_eq!(beside[1], (HeaderName::Privacy, "id".into()));
        assert_eq!(
            Privacy::Id.apply(us.clone()),
            (us.clone(), vec![(HeaderName::Privacy, "id".into())])
        );
        assert_eq!(Privacy::Off.apply(us.clone()), (us, Vec::new()));
    }

    proptest! {
        /// Whatever stands in it is read.
        #[test]
        fn any_header_is_read(text in "\\PC{0,60}") {
            prop_assert!(!asks(&text) || text.to_ascii_lowercase().contains("id")
                || text.to_ascii_lowercase().contains("user") || text.to_ascii_lowercase().contains("header"));
            from(&text);
        }
    }
}
