//! A real Kamailio: a registrar that is strict, and a proxy before phones that talk to each other without it.
//!
//! It refuses what is not well formed, a user in the address of a registrar, more than one contact, and whoever uses
//! another name than the one whose password he knows; requests inside a dialog come by its own route or not at all.
//! The password of each user is `secret-USER`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::trust::Trust;

/// What it is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct KamailioParams<'a> {
    /// It does not stay on the way of a call (no Record-Route): requests inside it go from end to end.
    pub leaves: bool,
    /// It keeps presence (RFC 3856): takes PUBLISH and SUBSCRIBE for it, and notifies.
    pub presence: bool,
    /// With these certificates it takes TLS besides UDP and TCP.
    pub tls: Option<&'a Trust>,
    /// Takes telephone events out of every session description: keys are heard in the speech, or not at all.
    pub without_events: bool,
}

/// A running Kamailio, on the ports of the PBX.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
}

impl Kamailio {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it does not come up within 15 s.
    pub fn start(rig: &Rig, params: KamailioParams<'_>) -> anyhow::Result<Self> {
        let dir = rig.path("kamailio");
        std::fs::create_dir_all(&dir)?;
        let file = dir.join("kamailio.cfg");
        std::fs::write(&file, config(rig, params)?)?;
        let args = [
            "-DD".as_ref(),
            "-E".as_ref(),
            "-f".as_ref(),
            file.as_os_str(),
            "-Y".as_ref(),
            dir.as_os_str(),
        ];
        let process = Process::start(rig, "kamailio", Path::new("/usr/sbin/kamailio"), args)?;
        let mut kamailio = Self { process };
        let port = rig.port(if params.tls.is_some() {
            Use::PbxTls
        } else {
            Use::PbxSip
        });
        until(Duration::from_secs(15), "Kamailio to serve", || {
            if let Some(status) = kamailio.process.ended()? {
                bail!("it ended with {status}: {}", kamailio.process.log());
            }
            Ok(std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        Ok(kamailio)
    }

    /// Waits until a user has registered.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn registered(&mut self, user: &str, limit: Duration) -> anyhow::Result<()> {
        self.process.says(&format!("registered {user} "), limit)
    }

    /// Everything it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Drop for Kamailio {
    /// Its children outlive a parent that is killed, and keep the ports of the test.
    fn drop(&mut self) {
        self.process.stop();
    }
}

fn config(rig: &Rig, params: KamailioParams<'_>) -> anyhow::Result<String> {
    let modules = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|kind| format!("/usr/lib/{kind}/kamailio/modules"))
        .into_iter()
        .find(|path| Path::new(path).is_dir())
        .context("Kamailio's modules are not there; is the package kamailio installed?")?;
    let (sip, tls) = (rig.port(Use::PbxSip), rig.port(Use::PbxTls));
    // one worker: what came first over UDP goes on first
    let mut text = format!(
        "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nfork=yes\nchildren=1\ntcp_children=2\nauto_aliases=no\n\
         tcp_connection_lifetime=600\nmpath=\"{modules}/\"\nlisten=udp:127.0.0.1:{sip}\nlisten=tcp:127.0.0.1:{sip}\n"
    );
    if let Some(trust) = params.tls {
        write!(
            text,
            "enable_tls=yes\nlisten=tls:127.0.0.1:{tls}\nloadmodule \"tls.so\"\n\
             modparam(\"tls\", \"private_key\", \"{}\")\nmodparam(\"tls\", \"certificate\", \"{}\")\n\
             modparam(\"tls\", \"ca_list\", \"{}\")\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n",
            trust.key.display(),
            trust.cert.display(),
            trust.ca.display()
        )?;
    }
    text += MODULES;
    let mut more = String::new();
    let presence = if params.presence {
        let db = rig.path("kamailio-tables");
        copy_tables(&db)?;
        more = PRESENCE.replace("TABLES", &db.display().to_string());
        "if (is_method(\"PUBLISH\")) { t_newtran(); handle_publish(); exit; }\n    \
         if (is_method(\"SUBSCRIBE\") && $hdr(Event) == \"presence\") { record_route(); t_newtran(); handle_subscribe(); exit; }"
    } else {
        "return;"
    };
    text += &more;
    let routes = ROUTES.replace("STAYS", if params.leaves { "" } else { "record_route();" });
    text += &routes;
    write!(text, "route[PRESENCE] {{\n    {presence}\n}}\n")?;
    let strip = if params.without_events {
        "sdp_remove_codecs_by_name(\"telephone-event\");"
    } else {
        "return;"
    };
    write!(text, "route[EVENTS] {{\n    {strip}\n}}\n")?;
    Ok(text)
}

/// Tables as text files, of which presence wants some though it keeps everything in memory.
fn copy_tables(to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for table in ["version", "presentity", "active_watchers", "watchers", "xcap"] {
        let from = Path::new("/usr/share/kamailio/dbtext/kamailio").join(table);
        std::fs::copy(&from, to.join(table)).with_context(|| from.display().to_string())?;
    }
    Ok(())
}

const PRESENCE: &str = r#"
loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("presence", "db_url", "text://TABLES")
modparam("presence", "server_address", "sip:127.0.0.1")
modparam("presence", "subs_db_mode", 0)
modparam("presence_xml", "db_url", "text://TABLES")
modparam("presence_xml", "force_active", 1)
"#;

const MODULES: &str = r#"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "sanity.so"
loadmodule "auth.so"
loadmodule "nathelper.so"
loadmodule "sdpops.so"
loadmodule "xlog.so"
modparam("registrar", "max_contacts", 1)
modparam("registrar", "min_expires", 30)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "received_avp", "$avp(received)")
modparam("nathelper", "received_avp", "$avp(received)")
modparam("rr", "enable_full_lr", 1)
"#;

const ROUTES: &str = r#"
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (!sanity_check("17895", "7")) { exit; }
    force_rport();
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (has_totag()) {
        if (loose_route()) {
            if (uri == myself) { route(PRESENCE); }
            route(RELAY);
            exit;
        }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("404", "No Route");
        exit;
    }
    t_check_trans();
    if (is_method("REGISTER")) {
        if ($rU != $null) { sl_send_reply("400", "A User In The Address Of The Registrar"); exit; }
        $var(password) = "secret-" + $fU;
        if (!pv_www_authenticate("127.0.0.1", "$var(password)", "0")) { www_challenge("127.0.0.1", "1"); exit; }
        if ($au != $tU || $fU != $tU) { sl_send_reply("403", "Another Name"); exit; }
        fix_nated_register();
        if (save("location")) { xlog("L_ALERT", "registered $tU by $proto, $expires(max) s\n"); }
        exit;
    }
    if (is_method("OPTIONS") && $rU == $null) { sl_send_reply("200", "OK"); exit; }
    if (is_method("INVITE|MESSAGE|SUBSCRIBE|PUBLISH|REFER|OPTIONS")) {
        $var(password) = "secret-" + $fU;
        if (!pv_proxy_authenticate("127.0.0.1", "$var(password)", "0")) { proxy_challenge("127.0.0.1", "1"); exit; }
        if ($au != $fU) { sl_send_reply("403", "Another Name"); exit; }
        consume_credentials();
    }
    route(PRESENCE);
    STAYS
    if (!lookup("location")) { sl_send_reply("404", "Nobody Of This Name"); exit; }
    route(RELAY);
}

route[RELAY] {
    if (has_body("application/sdp")) { route(EVENTS); }
    t_on_reply("BACK");
    if (!t_relay()) { sl_reply_error(); }
}

onreply_route[BACK] {
    if (has_body("application/sdp")) { route(EVENTS); }
}
"#;
