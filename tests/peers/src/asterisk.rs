//! A real Asterisk from another Debian suite, as an ordinary process on loopback.
//!
//! `tests/peers/asterisk-root` has put it into a folder of its own (`DOORLINE_ASTERISK`). It runs there under
//! `chroot`, without a mount of ours, with a configuration that the test writes. Its extensions:
//! 101 to 104 phones, 105 one in a browser where it is asked for, 200 the door, 201 a second door account, 900 plays back what it hears, 910 answers, 920 rings
//! for a second, answers and hangs up.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::trust::Trust;

/// What the PBX is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct PbxParams<'a> {
    /// Whoever connects by TLS has to show a certificate of the same authority; needs [`PbxParams::tls`].
    pub clients: bool,
    /// Codecs of every endpoint, by its names for them; none: `alaw,ulaw`.
    pub codecs: &'a str,
    /// More lines for the endpoint of the door, extension 200.
    pub door: &'a str,
    /// Variables of its environment, which commands of the dial plan get.
    pub env: &'a [(&'a str, &'a str)],
    /// More of its configuration files: name and text.
    pub files: &'a [(&'a str, &'a str)],
    /// A contact of the door stays until its time is over or it is taken back, and a second one is refused.
    pub keeps_contacts: bool,
    /// It is to be measured: whoever has no account calls it as endpoint `anonymous`, which has these lines more; its speech
    /// is on UDP ports of this range; and its log has no SIP messages.
    pub measured: Option<(&'a str, (u16, u16))>,
    /// More of the dial plan.
    pub plan: &'a str,
    /// Every endpoint is as the README tells a reader to write the one of the door; media may go past the PBX then.
    pub readme: bool,
    /// With these certificates it takes TLS besides UDP and TCP.
    pub tls: Option<&'a Trust>,
    /// With these certificates every endpoint uses TLS and SRTP, and nothing else is taken.
    pub secure: Option<&'a Trust>,
    /// More extensions with an endpoint, each with the password `secret-EXTENSION`.
    pub users: &'a [&'a str],
    /// Extension 105 is a phone in a browser, with these lines for its endpoint; needs [`PbxParams::tls`].
    pub web: Option<&'a str>,
}

/// A running PBX. Its configuration folder goes when it is dropped.
#[derive(Debug)]
pub struct Asterisk {
    /// As the host sees it.
    dir: PathBuf,
    env: Vec<String>,
    /// As Asterisk sees it.
    inner: PathBuf,
    process: Process,
    root: PathBuf,
}

/// What it loads: a SIP PBX with a dial plan and nothing more. Names that a version does not have are skipped.
const MODULES: &[&str] = &[
    "res_crypto",
    "res_timing_timerfd",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_session",
    "res_pjsip_authenticator_digest",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_registrar",
    "res_pjsip_sdp_rtp",
    "res_pjsip_caller_id",
    "res_pjsip_dtmf_info",
    "res_pjsip_nat",
    "res_pjsip_rfc3326",
    "res_pjsip_logger",
    "res_pjsip_pubsub",
    // also what the dial plan's Transfer() of an answered call needs
    "res_pjsip_refer",
    "res_rtp_asterisk",
    "res_srtp",
    "chan_pjsip",
    "pbx_config",
    "format_wav",
    "codec_ulaw",
    "codec_alaw",
    "codec_g722",
    "res_format_attr_opus",
    "bridge_builtin_features",
    "bridge_simple",
    "bridge_native_rtp",
    "res_clioriginate",
    "res_http_websocket",
    "res_pjsip_transport_websocket",
    "app_dial",
    "app_echo",
    "app_playback",
    "app_read",
    "app_record",
    "app_senddtmf",
    "app_stack",
    "app_system",
    "app_transfer",
    "app_verbose",
    "func_callerid",
    "func_channel",
    "func_logic",
];

/// What it loads besides where it is measured.
const MEASURED: [&str; 2] = ["res_pjsip_endpoint_identifier_anonymous", "app_milliwatt"];

impl Asterisk {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it is not installed, or does not come up within 30 s.
    pub fn start(rig: &Rig, params: PbxParams<'_>) -> anyhow::Result<Self> {
        let root = root()?;
        let inner = Path::new("/srv").join(rig.dir().file_name().context("a named folder")?);
        let dir = root.join(inner.strip_prefix("/")?);
        write_config(rig, &root, &dir, &inner, params)?;
        rig.also_show(dir.join("log/messages"));
        let env: Vec<String> = params
            .env
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let process = Self::spawn(rig, &root, &inner, &env)?;
        let mut pbx = Self {
            dir,
            env,
            inner,
            process,
            root,
        };
        pbx.serves()?;
        Ok(pbx)
    }

    fn spawn(rig: &Rig, root: &Path, inner: &Path, env: &[String]) -> anyhow::Result<Process> {
        let conf = inner.join("asterisk.conf");
        let env = env.iter().map(OsStr::new);
        let command = ["/usr/sbin/asterisk", "-f", "-C"].map(OsStr::new);
        let args = [root.as_os_str(), "/usr/bin/env".as_ref()];
        let args = args
            .into_iter()
            .chain(env)
            .chain(command)
            .chain([conf.as_os_str()]);
        Process::start(rig, "asterisk", Path::new("/usr/sbin/chroot"), args)
    }

    fn serves(&mut self) -> anyhow::Result<()> {
        until(Duration::from_secs(30), "Asterisk to serve", || {
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("it ended with {status}");
            }
            let answer = self.cli("core waitfullybooted").unwrap_or_default();
            Ok(answer.contains("fully booted").then_some(()))
        })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs a command of its command line.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn cli(&self, command: &str) -> anyhow::Result<String> {
        let out = Command::new("/usr/sbin/chroot")
            .arg(&self.root)
            .args(["/usr/sbin/asterisk", "-C"])
            .arg(self.inner.join("asterisk.conf"))
            .args(["-rx", command])
            .output()?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Waits until a user has registered.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn registered(&self, user: &str, limit: Duration) -> anyhow::Result<()> {
        let sought = format!("{user}/sip:");
        until(limit, &format!("{user} to register at Asterisk"), || {
            Ok(self.cli("pjsip show contacts")?.contains(&sought).then_some(()))
        })
    }

    /// A file in its spool folder, `${ASTSPOOLDIR}` of the dial plan.
    #[must_use]
    pub fn spooled(&self, name: &str) -> PathBuf {
        self.dir.join("spool").join(name)
    }

    /// Its log, with every SIP message.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("log/messages")).unwrap_or_default())
            .into_owned()
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Asterisk::kill`], with the same configuration.
    ///
    /// # Errors
    /// As [`Asterisk::start`].
    pub fn again(&mut self, rig: &Rig) -> anyhow::Result<()> {
        self.process = Self::spawn(rig, &self.root, &self.inner, &self.env)?;
        self.serves()
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            return;
        }
        // a folder left behind is only untidy
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let root = std::env::var_os("DOORLINE_ASTERISK").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_default();
            Path::new(&home).join(".cache/doorline-peers/asterisk")
        },
        PathBuf::from,
    );
    ensure!(
        root.join("usr/sbin/asterisk").exists(),
        "no Asterisk in {}; tests/peers/asterisk-root installs it",
        root.display()
    );
    Ok(root)
}

fn write_config(
    rig: &Rig,
    root: &Path,
    dir: &Path,
    inner: &Path,
    params: PbxParams<'_>,
) -> anyhow::Result<()> {
    for sub in ["log", "run", "spool", "db"] {
        std::fs::create_dir_all(dir.join(sub))?;
    }
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text);
    // it looks its own name up at every call: without an answer here each call waits for name servers
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    std::fs::write(
        root.join("etc/hosts"),
        format!("127.0.0.1 localhost {host} A.ROOT-SERVERS.NET\n::1 localhost\n"),
    )?;
    let at = inner.display();
    write(
        "asterisk.conf",
        &format!(
            "[directories]\nastetcdir => {at}\nastrundir => {at}/run\nastlogdir => {at}/log\n\
             astspooldir => {at}/spool\nastdbdir => {at}/db\n"
        ),
    )?;
    let mut modules = "[modules]\nautoload = no\n".to_owned();
    let there = |module: &str| {
        let file = format!("asterisk/modules/{module}.so");
        ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib"]
            .iter()
            .any(|lib| root.join(lib).join(&file).exists())
    };
    let extra: &[&str] = if params.measured.is_some() { &MEASURED } else { &[] };
    for module in MODULES.iter().chain(extra).filter(|m| there(m)) {
        writeln!(modules, "load = {module}.so")?;
    }
    write("modules.conf", &modules)?;
    write(
        "logger.conf",
        "[general]\n[logfiles]\nmessages => notice,warning,error,verbose,dtmf\n",
    )?;
    let (low, high) = params
        .measured
        .map_or_else(|| rig.ports.pbx_rtp(), |(_, rtp)| rtp);
    write(
        "rtp.conf",
        &format!("[general]\nrtpstart = {low}\nrtpend = {high}\n"),
    )?;
    write("extensions.conf", &format!("{DIAL_PLAN}{}", params.plan))?;
    for (name, text) in params.files {
        write(name, text)?;
    }
    if params.web.is_some() {
        let (ws, wss, at) = (rig.port(Use::PbxWs), rig.port(Use::PbxWss), inner.display());
        let text = format!(
            "[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ws}\ntlsenable = yes\n\
             tlsbindaddr = 127.0.0.1:{wss}\ntlscertfile = {at}/server.crt\ntlsprivatekey = {at}/server.key\n"
        );
        write("http.conf", &text)?;
    }
    write("pjsip.conf", &pjsip(rig, inner, params)?)?;
    if let Some(trust) = params.secure.or(params.tls) {
        trust.copy_to(dir)?;
    }
    Ok(())
}

const DIAL_PLAN: &str = "\
[house]
exten => _1XX,1,Dial(PJSIP/${EXTEN},60)
exten => _20X,1,Dial(PJSIP/${EXTEN},60)
exten => 900,1,Answer()
 same => n,Echo()
exten => 910,1,Answer()
 same => n,Wait(600)
exten => 920,1,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(2)
 same => n,Hangup()
";

/// The endpoint of the README's first site, with another number.
fn readme_endpoint(user: &str) -> anyhow::Result<String> {
    let page = include_str!("../../../README.md");
    let block = page
        .split_once("```ini")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (block, _) = block.context("README.md has no block of pjsip.conf any more")?;
    let block = block
        .lines()
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect::<String>();
    for wanted in ["[503]", "context = default", "choose-a-long-one"] {
        ensure!(
            block.contains(wanted),
            "{wanted} is not in the README's block: {block}"
        );
    }
    Ok(block
        .replace("503", user)
        .replace("context = default", "context = house")
        .replace("choose-a-long-one", &format!("secret-{user}")))
}

fn pjsip(rig: &Rig, inner: &Path, params: PbxParams<'_>) -> anyhow::Result<String> {
    let (sip, tls) = (rig.port(Use::PbxSip), rig.port(Use::PbxTls));
    let debug = if params.measured.is_some() { "no" } else { "yes" };
    let mut text = format!("[global]\ntype = global\ndebug = {debug}\n");
    if let Some((more, _)) = params.measured {
        write!(
            text,
            "[anonymous]\ntype = endpoint\ncontext = house\ndisallow = all\nallow = alaw\ndirect_media = no\n\
             media_address = 127.0.0.1\nrtp_symmetric = yes\n{more}"
        )?;
    }
    if params.secure.or(params.tls).is_some() {
        let at = inner.display();
        write!(
            text,
            "[tls]\ntype = transport\nprotocol = tls\nbind = 127.0.0.1:{tls}\nmethod = tlsv1_2\n\
             cert_file = {at}/server.crt\npriv_key_file = {at}/server.key\nca_list_file = {at}/ca.crt\n"
        )?;
        if params.clients {
            text += "verify_client = yes\nrequire_client_cert = yes\n";
        }
    }
    if params.secure.is_none() {
        for protocol in ["udp", "tcp"] {
            write!(
                text,
                "[{protocol}]\ntype = transport\nprotocol = {protocol}\nbind = 127.0.0.1:{sip}\n"
            )?;
        }
    }
    // strict on purpose: RTP/SAVP or nothing
    let media = if params.secure.is_some() {
        "media_encryption = sdes\n"
    } else {
        ""
    };
    let codecs = if params.codecs.is_empty() {
        "alaw,ulaw"
    } else {
        params.codecs
    };
    let users = ["101", "102", "103", "104", "200", "201"];
    for user in users.iter().chain(params.users) {
        if params.readme {
            text += &readme_endpoint(user)?;
            continue;
        }
        let more = if *user == "200" { params.door } else { "" };
        let (rewrites, removes) = if *user == "200" && params.keeps_contacts {
            ("no", "no")
        } else {
            ("yes", "yes")
        };
        write!(
            text,
            "[{user}]\ntype = endpoint\ncontext = house\ndisallow = all\nallow = {codecs}\nauth = {user}\n\
             aors = {user}\ncallerid = <{user}>\ndtmf_mode = rfc4733\ndirect_media = no\n\
             media_address = 127.0.0.1\nrtp_symmetric = yes\nforce_rport = yes\nrewrite_contact = {rewrites}\n{media}{more}\
             [{user}]\ntype = auth\nauth_type = userpass\nusername = {user}\npassword = secret-{user}\n\
             [{user}]\ntype = aor\nmax_contacts = 1\nremove_existing = {removes}\nminimum_expiration = 10\n"
        )?;
    }
    if let Some(more) = params.web {
        // speech by DTLS-SRTP after ICE, on this machine's own address as everything is
        write!(
            text,
            "[wss]\ntype = transport\nprotocol = wss\nbind = 127.0.0.1\n\
             [105]\ntype = endpoint\ncontext = house\ndisallow = all\nallow = {codecs}\nauth = 105\naors = 105\n\
             callerid = <105>\nwebrtc = yes\ndirect_media = no\nmedia_address = 127.0.0.1\n\
             bind_rtp_to_media_address = yes\nrewrite_contact = yes\n{more}\
             [105]\ntype = auth\nauth_type = userpass\nusername = 105\npassword = secret-105\n\
             [105]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\nminimum_expiration = 10\n"
        )?;
    }
    Ok(text)
}
