//! `[accounts.*]`, `[lists.*]` and `[sip]`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{AccountId, Secret};

use crate::describe::table;
use crate::rules::{
    Flag, Path, Ports, int, list, parsed, password, refer, secs, span_or, text, text_or, word,
};
use crate::value::{
    Address, AlertInfo, CallerHost, Codec, DigitMethod, DigitsOut, Dscp, Host, HostPort, Ice, KeepAlive, Key,
    Marks, Privacy, ReliableProvisional, Route, Srtp, SrtpKeys, Strategy, Transport,
};

table! {
    /// An account at a PBX, or a trunk that the PBX knows by our address.
    pub struct Account {
        /// Domain of the account: host of its address of record, and the registrar.
        domain: Host = "domain", parsed(), required, Restart;
        /// User part of its address of record: the extension, 1 to 64 characters.
        user: String = "user", text(1, 64), required, Restart;
        /// Password; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", password(), optional, Restart;
        /// File that holds the password in its first line. It must not be readable by other users. A relative
        /// path starts at the folder of this file.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// User name for authentication, where it differs from `user`.
        auth_user: Option<String> = "auth-user", text(1, 64), optional, Restart;
        /// Transport of its SIP messages.
        transport: Transport = "transport", word(), or("\"udp\""), Restart;
        /// Port of the PBX. Without it 5060, with TLS 5061, or what DNS says (RFC 3263).
        port: Option<u16> = "port", int(1, 65535), optional, Restart;
        /// Outbound proxy, HOST or HOST:PORT.
        proxy: Option<HostPort> = "proxy", parsed(), optional, Restart;
        /// Routes of all requests outside calls (RFC 3261 §8.1.2), in place of `proxy`: 1 to 4 SIP addresses with `lr`, such as
        /// `<sip:edge.example;lr>`. They go to the first one.
        routes: Vec<Route> = "routes", list(parsed(), 0, 4), or("[]"), Restart;
        /// Hosts in the From of calls that are the PBX's, too, up to 8, or `*` for all. A number alone (`1000` in `callers`, or of a person)
        /// means a caller at `domain`, at `proxy` or the first of `routes`, at an address of these, or at one of these hosts; and whoever the
        /// PBX asserts by P-Asserted-Identity or Remote-Party-ID. `*` only where the PBX takes no calls from others' domains.
        caller_hosts: Vec<CallerHost> = "caller-hosts", list(parsed(), 0, 8), or("[]"), Restart;
        /// Lifetime of the registration asked for, 60 to 86400 s.
        expires: Duration = "expires-s", secs(60, 86_400), or("300"), Restart;
        /// False for a trunk that is known by our address.
        register: bool = "register", Flag, or("true"), Restart;
        /// How the way to the PBX is kept open. With `options` a PBX that does not answer is noticed: the account registers
        /// again, at the next address of its name if it has several; a trunk counts as failed until it is answered.
        keep_alive: KeepAlive = "keep-alive", word(), or("\"crlf\""), Restart;
        /// Time between two signs of life, 15 to 300 s. Without it 25 s over UDP, and 30 s over connections and with `options`.
        keep_alive_time: Option<Duration> = "keep-alive-s", secs(15, 300), optional, Restart;
        /// How long a call lives without a refresh (session timer, RFC 4028), 90 to 86400 s, or `off`. The call
        /// ends if the other side no longer answers, even if the end of it got lost.
        session_expires: Option<Duration> = "session-expires-s", span_or(secs(90, 86_400), "off"), or("1800"), Restart;
        /// Shorter refresh intervals than this are refused, 90 to 86400 s.
        min_se: Duration = "min-se-s", secs(90, 86_400), or("90"), Restart;
        /// Whether "it rings" is acknowledged (100rel, RFC 3262).
        reliable_provisional: ReliableProvisional = "reliable-provisional", word(), or("\"supported\""), Restart;
        /// Publish at the PBX whether the panel can be called (presence, RFC 3903): `open`, or `closed` while its line is faulty.
        publish_presence: bool = "publish-presence", Flag, or("false"), Restart;
        /// Whether its calls withhold who calls. Not every PBX takes a call from nobody: `anonymous` needs one that knows the
        /// account by its password or address.
        privacy: Privacy = "privacy", word(), or("\"off\""), Restart;
        /// How the phones ring that are called through it, where the target does not say: the value of the header
        /// Alert-Info, as the phone's maker wants it, such as `<http://127.0.0.1>;info=external` or `Bellcore-dr2`.
        alert_info: Option<AlertInfo> = "alert-info", parsed(), optional, Restart;
        /// Ask the phones that are called through it to answer by themselves, as an intercom, where the target does not say.
        auto_answer: bool = "auto-answer", Flag, or("false"), Restart;
        /// Codecs of speech that are offered and taken, the best first, where they are not those of `[sip]`.
        codecs: Option<Vec<Codec>> = "codecs", list(word(), 1, 4), optional, Live;
        /// Encryption of speech.
        srtp: Srtp = "srtp", word(), or("\"off\""), Live;
        /// How its keys are agreed on. With `dtls` the PBX needs a certificate on an elliptic curve (P-256 or P-384), as
        /// Asterisk makes itself with `dtls_auto_generate_cert`. A call whose handshake fails ends.
        srtp_keys: SrtpKeys = "srtp-keys", word(), or("\"sdes\""), Live;
        /// Whether gateway and other side check where they reach each other (ICE), for phones and browsers behind routers:
        /// `lite` where the gateway can be reached from outside, `full` where it is behind a router, too. Who does not
        /// speak ICE is called as ever.
        ice: Ice = "ice", word(), or("\"off\""), Live;
        /// Whether speech goes where the other side's comes from, where that is not as in `[sip]`.
        symmetric_rtp: Option<bool> = "symmetric-rtp", Flag, optional, Live;
        /// Whether silence is left out of speech, where that is not as in `[sip]`.
        silence_suppression: Option<bool> = "silence-suppression", Flag, optional, Live;
        /// Whether calls are offered with the profile of feedback, where that is not as in `[sip]`.
        rtcp_feedback: Option<bool> = "rtcp-feedback", Flag, optional, Live;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        tls_ca_file: Option<PathBuf> = "tls-ca-file", Path, optional, Restart;
        /// False takes any certificate: anybody in between can listen and call.
        tls_verify: bool = "tls-verify", Flag, or("true"), Restart;
        /// False takes a certificate that `tls-ca-file` vouches for also where it is for another host, as that of a PBX
        /// that is reached by its address.
        tls_check_name: bool = "tls-check-name", Flag, or("true"), Restart;
        /// The account's own certificate, PEM, own certificate first, for a PBX that asks for one (mutual TLS).
        tls_cert_file: Option<PathBuf> = "tls-cert-file", Path, optional, Restart;
        /// Private key of that certificate, PEM.
        tls_key_file: Option<PathBuf> = "tls-key-file", Path, optional, Restart;
    }
}

table! {
    /// A call list: whom a button rings.
    pub struct List {
        /// The order in which targets ring.
        strategy: Strategy = "strategy", word(), or("\"sequential\""), Live;
        /// How long each target rings, 10 to 60 s.
        ring: Duration = "ring-s", secs(10, 60), or("20"), Live;
        /// How often they are called in all while nobody answers, 1 to 10 times, as long as the panel rings
        /// (`ring-window-s`). An alarm calls as often as its own `rounds` say.
        rounds: u32 = "rounds", int(1, 10), or("1"), Live;
        /// Time between two rounds, 5 to 300 s. Who presses meanwhile has the next one begin at once.
        again: Duration = "again-s", secs(5, 300), or("10"), Live;
        /// How long they may talk, 60 to 600 s, or `permanent`.
        talk_limit: Option<Duration> = "talk-limit-s", span_or(secs(60, 600), "permanent"), or("180"), Live;
        /// End the call when the strike is released.
        hang_up_after_open: bool = "hang-up-after-open", Flag, or("false"), Live;
        /// Targets, 1 to 4: a number, an address, or a table.
        targets: Vec<Target> = "targets", list(text_or("to", Target::of), 1, 4), required, Live;
    }
}

table! {
    /// A target of a call list.
    pub struct Target {
        /// Number or address to call; or `contact`.
        to: Option<Address> = "to", parsed(), optional, Live;
        /// Whom to call by name: a contact of the gateway, else an entry of the directory, who is rung and cannot
        /// open.
        contact: Option<String> = "contact", text(1, 100), optional, Live;
        /// Name for people, 1 to 60 characters.
        name: Option<String> = "name", text(1, 60), optional, Live;
        /// Account to call through, where it is not the panel's.
        account: Option<AccountId> = "account", refer("account"), optional, Live;
        /// Key that whoever answers has to press within 15 s before the call is theirs, one of `0-9*#`: then no voicemail
        /// and no carrier's announcement has it. They hear three tones; meanwhile others may answer.
        confirm: Option<Key> = "confirm", parsed(), optional, Live;
        /// How the phone rings: the value of the header Alert-Info, as its maker wants it.
        alert_info: Option<AlertInfo> = "alert-info", parsed(), optional, Live;
        /// Ask the phone to answer by itself, as an intercom (Call-Info, Alert-Info and Answer-Mode). The phone has to
        /// allow it.
        auto_answer: Option<bool> = "auto-answer", Flag, optional, Live;
        /// Keys that the gateway presses half a second after the answer, for a voice menu or an exchange: `0-9*#A-D`, a
        /// comma waits a second. Whoever has the line hears nothing of them but tones in the speech.
        digits_after_answer: Option<DigitsOut> = "digits-after-answer", parsed(), optional, Live;
        /// How they are sent.
        digit_method: DigitMethod = "digit-method", word(), or("\"auto\""), Live;
    }
}

impl Target {
    const fn of(to: Address) -> Self {
        Self {
            to: Some(to),
            contact: None,
            name: None,
            account: None,
            confirm: None,
            alert_info: None,
            auto_answer: None,
            digits_after_answer: None,
            digit_method: DigitMethod::Auto,
        }
    }
}

table! {
    /// SIP and media sockets.
    pub struct Sip {
        /// Address that SIP and media sockets are bound to; `0.0.0.0` and `::` are every address of IPv4 and of IPv6.
        bind: IpAddr = "bind", parsed(), or("\"0.0.0.0\""), Process;
        /// UDP port of SIP.
        udp_port: u16 = "udp-port", int(1, 65535), or("5060"), Process;
        /// TCP port of SIP; 0 opens none, calls out over TCP still work.
        tcp_port: u16 = "tcp-port", int(0, 65535), or("5060"), Process;
        /// TLS port of SIP; 0 opens none, calls out over TLS still work. Needs `tls-cert-file` and `tls-key-file`.
        tls_port: u16 = "tls-port", int(0, 65535), or("0"), Process;
        /// Certificate chain of the TLS port, PEM, own certificate first.
        tls_cert_file: Option<PathBuf> = "tls-cert-file", Path, optional, Process;
        /// Private key of that certificate, PEM.
        tls_key_file: Option<PathBuf> = "tls-key-file", Path, optional, Process;
        /// Certificates, PEM, of the authorities that sign those of who connects to the TLS port: whoever shows none of theirs
        /// is not let in. Without it nobody is asked for one.
        tls_client_ca_file: Option<PathBuf> = "tls-client-ca-file", Path, optional, Process;
        /// Lowest and highest UDP port of speech; the lowest is even, each call takes two.
        rtp_ports: RangeInclusive<u16> = "rtp-ports", Ports, or("[16384, 16583]"), Process;
        /// Address at which others beyond a router see the gateway, in place of its own: told to them for speech, and in the
        /// Contact of accounts. The router has to pass `rtp-ports` on as they are. A PBX or telephone that has a private address itself
        /// is told the gateway's own.
        public_address: Option<IpAddr> = "public-address", parsed(), optional, Live;
        /// STUN server, HOST or HOST:PORT, that says what `public-address` would be, where that changes, and which ports a
        /// router writes in place of those of speech. Asked every two minutes for the one, every 20 s for the others; without
        /// a port 3478.
        stun: Option<HostPort> = "stun", parsed(), optional, Live;
        /// Codecs of speech that are offered and taken, the best first. Counts for the next call.
        codecs: Vec<Codec> = "codecs", list(word(), 1, 4), or("[\"opus\", \"g722\", \"pcma\", \"pcmu\"]"), Live;
        /// Speech goes where the other side's comes from, as it must where that is behind a router (symmetric RTP). False: it goes
        /// where the other side has announced it, and is taken from that address alone. Counts for the next call; not with
        /// ICE, which finds out by itself.
        symmetric_rtp: bool = "symmetric-rtp", Flag, or("true"), Live;
        /// While it is silent at the door next to nothing is sent to those who agree to it: comfort noise (RFC 3389), of Opus a packet now and
        /// then; and they are asked for the same. For narrow lines: speech is best left as it is. Counts for the next call.
        silence_suppression: bool = "silence-suppression", Flag, or("false"), Live;
        /// Calls are offered with the profile of feedback (AVPF, RFC 4585), for a PBX that takes no other: Asterisk with `use_avpf = yes`.
        /// Feedback itself (`a=rtcp-fb`) is neither offered nor answered, with or without it; who calls in may use either profile. Counts
        /// for the next call.
        rtcp_feedback: bool = "rtcp-feedback", Flag, or("false"), Live;
        /// Addresses that may call without a registered account between, at most 64. What numbers they say is believed, at their own
        /// address: where there are accounts, a number alone (`1000`) in `callers`, or of a person, is not theirs.
        direct_peers: Vec<IpAddr> = "direct-peers", list(parsed(), 0, 64), or("[]"), Live;
        /// Encryption of speech in calls without an account: of those addresses, and to targets that are called directly.
        direct_srtp: Srtp = "direct-srtp", word(), or("\"off\""), Live;
        /// How its keys are agreed on, as `srtp-keys` of an account.
        direct_srtp_keys: SrtpKeys = "direct-srtp-keys", word(), or("\"sdes\""), Live;
        /// ICE in calls without an account, as `ice` of an account.
        direct_ice: Ice = "direct-ice", word(), or("\"off\""), Live;
        /// Mark (DSCP) of SIP messages, by which switches and routers prefer them: a number from 0 to 63 or a name.
        /// RFC 4594 §4.2 says `cs5`; some switches come with `cs3` for it.
        dscp: Dscp = "dscp", Marks, or("\"cs5\""), Process;
        /// Mark (DSCP) of speech, RTP and RTCP. RFC 4594 §4.1 says `ef`.
        rtp_dscp: Dscp = "rtp-dscp", Marks, or("\"ef\""), Process;
    }
}
