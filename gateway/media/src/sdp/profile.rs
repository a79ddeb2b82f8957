//! Profiles of RTP, as an m-line names its transport (RFC 3551, 3711, 4585, 5124, 5764).

/// The profile of an offer: `required` encryption, with keys `by_dtls`, and with room for `feedback`. Encryption that is not
/// required goes beside the plain profile, with keys or a fingerprint (RFC 8643).
pub(super) const fn of(required: bool, by_dtls: bool, feedback: bool) -> &'static str {
    match (required, by_dtls, feedback) {
        (false, _, false) => "RTP/AVP",
        (false, _, true) => "RTP/AVPF",
        (true, false, false) => "RTP/SAVP",
        (true, false, true) => "RTP/SAVPF",
        (true, true, false) => "UDP/TLS/RTP/SAVP",
        (true, true, true) => "UDP/TLS/RTP/SAVPF",
    }
}

pub(super) fn is_rtp(transport: &str) -> bool {
    matches!(transport, "RTP/AVP" | "RTP/AVPF") || is_secure(transport)
}

pub(super) fn is_secure(transport: &str) -> bool {
    matches!(transport, "RTP/SAVP" | "RTP/SAVPF") || is_dtls(transport)
}

/// Profiles of RFC 5764 §9.
pub(super) fn is_dtls(transport: &str) -> bool {
    matches!(transport, "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
}

/// Profiles of RFC 4585 and RFC 5124.
pub(super) fn has_feedback(transport: &str) -> bool {
    matches!(transport, "RTP/AVPF" | "RTP/SAVPF" | "UDP/TLS/RTP/SAVPF")
}
