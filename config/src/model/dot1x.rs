//! `[dot1x]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::Secret;

use crate::describe::table;
use crate::rules::{Flag, Path, list, parsed, password as hidden, secs, text, word};
use crate::value::{EapInner, EapMethod, InterfaceName, ServerName};

table! {
    /// IEEE 802.1X on the gateway's own switch port, by `wpa_supplicant` of this machine.
    pub struct Dot1x {
        /// Network interface, such as `eth0`.
        interface: InterfaceName = "interface", parsed(), required, Restart;
        /// EAP method.
        method: EapMethod = "method", word(), required, Restart;
        /// Method inside the tunnel of `peap` or `ttls`. PEAP has `mschapv2`, `md5`, `gtc`, `tls`; TTLS has `pap`,
        /// `chap`, `mschap`, `mschapv2`, `eap-md5`, `eap-mschapv2`.
        inner: Option<EapInner> = "inner", word(), optional, Restart;
        /// User name, 1 to 253 characters.
        identity: String = "identity", text(1, 253), required, Restart;
        /// Name that everybody on the cable may read, in place of the identity, such as `anonymous` or
        /// `anonymous@example.org`. The realm after `@` must stay where RADIUS servers pass requests on by it.
        outer_identity: Option<String> = "outer-identity", text(1, 253), optional, Restart;
        /// Password; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", hidden(), optional, Restart;
        /// File that holds the password in its first line. It must not be readable by other users. A relative
        /// path starts at the folder of this file.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// Certificates, PEM, of the CAs above the authentication server's certificate, up to a self-signed one. A
        /// public CA proves only the name.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
        /// The server's certificate must name one of these, or a host below one of these, at most 8. A certificate for
        /// `*.example.org` names a host below `example.org`, and not `radius.example.org`.
        server_names: Vec<ServerName> = "server-names", list(parsed(), 0, 8), or("[]"), Restart;
        /// True takes any authentication server: whoever holds the cable can pose as the network and collect the
        /// password. Health says so for as long as it is true. `md5` and `mschapv2` without a tunnel need it, for
        /// they cannot verify anybody.
        accept_any_server: bool = "accept-any-server", Flag, or("false"), Restart;
        /// Certificate chain of the gateway, PEM, own certificate first; for `tls`, or where a tunnel asks for one.
        client_cert_file: Option<PathBuf> = "client-cert-file", Path, optional, Restart;
        /// Private key of that certificate, PEM. It must not be readable by other users.
        client_key_file: Option<PathBuf> = "client-key-file", Path, optional, Restart;
        /// Certificate and key together, PKCS#12, in place of the two. It must not be readable by other users.
        client_p12_file: Option<PathBuf> = "client-p12-file", Path, optional, Restart;
        /// Passphrase of the key or of the PKCS#12 file; `client-passphrase-file` keeps it out of this file.
        client_passphrase: Option<Secret> = "client-passphrase", hidden(), optional, Restart;
        /// File that holds the passphrase in its first line. It must not be readable by other users. A relative path
        /// starts at the folder of this file.
        client_passphrase_file: Option<PathBuf> = "client-passphrase-file", Path, optional, Restart;
        /// Let the server choose TLS 1.3, which not every server does right in EAP.
        tls13: bool = "tls13", Flag, or("false"), Restart;
        /// No answer for so long, 5 to 120 s, is told as silence of the switch or of the authentication server.
        silence: Duration = "silence-s", secs(5, 120), or("15"), Restart;
        /// A change of this table, 0 to 3600 s, by a reload or found at a start, is taken back after so long unless
        /// `doorline dot1x confirm` keeps it: it can cut off whoever made it. 0 keeps it at once.
        confirm: Duration = "confirm-s", secs(0, 3600), or("300"), Restart;
        /// Folder of the control socket of `doorline-dot1x@INTERFACE.service`, which runs `wpa_supplicant` so that the
        /// gateway needs no capability. Without that unit, a gateway that is root or has `CAP_NET_RAW` starts one itself.
        control_dir: PathBuf = "control-dir", Path, or("\"/run/doorline-dot1x\""), Restart;
        /// Path of `wpa_supplicant`, for a gateway that starts it itself.
        supplicant: PathBuf = "supplicant", Path, or("\"/usr/sbin/wpa_supplicant\""), Restart;
    }
}
