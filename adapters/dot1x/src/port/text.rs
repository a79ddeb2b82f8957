//! What stands in an event: what was found, and what to do.

use crate::message::Doubt;

pub(super) fn authenticator_silent(silent_s: u64) -> String {
    format!(
        "no switch port asked for authentication within {silent_s} s; switch 802.1X on at the switch port, or remove \
         [dot1x] if it has none; it is tried again all the time"
    )
}

pub(super) fn carrier_lost(interface: &str) -> String {
    format!("{interface} has no carrier; look at the cable and whether the switch is on")
}

pub(super) fn credentials_refused() -> String {
    "the authentication server refused identity, password or client certificate; compare them with the server and read \
     its log; it is tried again once a minute"
        .to_owned()
}

pub(super) fn interface_absent(interface: &str) -> String {
    format!(
        "this machine has no interface {interface}; plug its adapter in, or set interface in [dot1x] to one that \
         `ip link` shows; it begins by itself once it is there"
    )
}

pub(super) fn material_refused() -> String {
    "the supplicant cannot use its certificate, key or passphrase; run `doorline check` on this machine, which names \
     the part"
        .to_owned()
}

pub(super) fn method_refused() -> String {
    "the authentication server wants another EAP method; set method to one that it permits, or permit this one there"
        .to_owned()
}

pub(super) fn neighbours_silent() -> String {
    "the port is authorized by what the switch said last, but nobody on the network answers; the switch may have \
     dropped it: authenticating anew; if this stays, look at the switch port, its VLAN and the router"
        .to_owned()
}

pub(super) fn reauthentication_refused() -> String {
    "the port was open and the switch closed it: the authentication server refused a re-authentication; was the \
     account locked, its password changed, or the certificate withdrawn? it is tried again once a minute"
        .to_owned()
}

pub(super) fn server_silent(silent_s: u64) -> String {
    format!(
        "the switch answers, but the authentication server did not get on within {silent_s} s; look at the RADIUS \
         server and at the way from the switch to it; it is tried again all the time"
    )
}

pub(super) fn server_untrusted(doubt: Doubt) -> String {
    let (what, remedy) = match doubt {
        Doubt::Expired => (
            "has expired",
            "renew it at the server; if it is good, set the clock of this machine",
        ),
        Doubt::NameMismatch => (
            "names another server than server-names",
            "correct server-names, or find out who answers in the server's place",
        ),
        Doubt::NotYetValid => (
            "is not valid yet",
            "set the clock of this machine, or look at the server's certificate",
        ),
        Doubt::Other => (
            "cannot be verified",
            "look at the server's certificate and at ca-file",
        ),
        Doubt::Revoked => ("was revoked", "renew it at the server"),
        Doubt::UnknownCa => (
            "does not lead to a certificate of ca-file",
            "put the CA of the server into ca-file, or find out who answers in the server's place",
        ),
    };
    format!("the authentication server's certificate {what}, and nothing secret was sent; {remedy}")
}

pub(super) fn supplicant_failed(why: &str) -> String {
    format!("wpa_supplicant does not run and is started again: {why}")
}
