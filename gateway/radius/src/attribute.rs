//! Attribute numbers and values that are used here.

/// RFC 2865 §5.1.
pub(crate) const USER_NAME: u8 = 1;
/// RFC 2865 §5.2.
pub(crate) const USER_PASSWORD: u8 = 2;
/// RFC 2865 §5.6.
pub(crate) const SERVICE_TYPE: u8 = 6;
/// RFC 2865 §5.25.
pub(crate) const CLASS: u8 = 25;
/// RFC 2865 §5.27, seconds.
pub(crate) const SESSION_TIMEOUT: u8 = 27;
/// RFC 2865 §5.28, seconds.
pub(crate) const IDLE_TIMEOUT: u8 = 28;
/// RFC 2865 §5.31: the address of the browser.
pub(crate) const CALLING_STATION_ID: u8 = 31;
/// RFC 2865 §5.32.
pub(crate) const NAS_IDENTIFIER: u8 = 32;
/// RFC 2865 §5.33.
pub(crate) const PROXY_STATE: u8 = 33;
/// RFC 2866 §5.1.
pub(crate) const ACCT_STATUS_TYPE: u8 = 40;
/// RFC 2866 §5.2, seconds.
pub(crate) const ACCT_DELAY_TIME: u8 = 41;
/// RFC 2866 §5.5.
pub(crate) const ACCT_SESSION_ID: u8 = 44;
/// RFC 2866 §5.6.
pub(crate) const ACCT_AUTHENTIC: u8 = 45;
/// RFC 2866 §5.7, seconds.
pub(crate) const ACCT_SESSION_TIME: u8 = 46;
/// RFC 2866 §5.10.
pub(crate) const ACCT_TERMINATE_CAUSE: u8 = 49;
/// RFC 2865 §5.41.
pub(crate) const NAS_PORT_TYPE: u8 = 61;
/// RFC 3579 §3.2.
pub(crate) const MESSAGE_AUTHENTICATOR: u8 = 80;

/// Value of NAS-Port-Type: neither wire nor radio of our own.
pub(crate) const VIRTUAL: u32 = 5;
/// Value of Service-Type: somebody who may use the device.
pub(crate) const LOGIN_USER: u32 = 1;
/// Value of Service-Type: somebody who may administer it.
pub(crate) const ADMINISTRATIVE_USER: u32 = 6;
/// Value of Acct-Authentic: a RADIUS server vouched.
pub(crate) const BY_RADIUS: u32 = 1;

/// The name of a Service-Type in the dictionaries, for people.
pub(crate) fn service_name(value: u32) -> Option<&'static str> {
    Some(match value {
        1 => "Login-User",
        2 => "Framed-User",
        3 => "Callback-Login-User",
        4 => "Callback-Framed-User",
        5 => "Outbound-User",
        6 => "Administrative-User",
        7 => "NAS-Prompt-User",
        8 => "Authenticate-Only",
        9 => "Callback-NAS-Prompt",
        10 => "Call-Check",
        11 => "Callback-Administrative",
        _ => return None,
    })
}
