//! FreeRADIUS with a configuration of its own, and the users of both servers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::certs::{Certs, ServerCert};
use super::site::{ODD_PASSWORD, ODD_USER, USER};
use super::{SECRET, must};
use crate::process::Process;
use crate::rig::Rig;

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// hostapd's file of users (`hostapd.eap_user`): outer identities first, then what is inside a tunnel.
pub(super) fn hostapd_users(password: &str) -> String {
    let mut text = format!(
        "\"{USER}\" PEAP,TTLS,TLS,MSCHAPV2,MD5,GTC {}\n* PEAP,TTLS,TLS\n",
        hex(password)
    );
    for (user, password) in [(USER, password), (ODD_USER, ODD_PASSWORD)] {
        let inner = "MSCHAPV2,MD5,GTC,TLS,TTLS-PAP,TTLS-CHAP,TTLS-MSCHAP,TTLS-MSCHAPV2";
        let _ = writeln!(text, "\"{user}\" {inner} {} [2]", hex(password));
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Starts it beside the switch and waits until it serves.
pub(super) fn start(
    rig: &Rig,
    sw: &str,
    server: &ServerCert,
    (password, tls): (&str, &str),
) -> anyhow::Result<Process> {
    let dir = rig.path("raddb");
    std::fs::create_dir_all(&dir)?;
    let users = format!(
        "{} Cleartext-Password := {}\n\n{} Cleartext-Password := {}\n",
        quoted(USER),
        quoted(password),
        quoted(ODD_USER),
        quoted(ODD_PASSWORD)
    );
    std::fs::write(dir.join("users"), users)?;
    std::fs::write(dir.join("radiusd.conf"), conf(rig, server, tls)?)?;
    if !dir.join("dictionary").exists() {
        std::os::unix::fs::symlink("/usr/share/freeradius/dictionary", dir.join("dictionary"))?;
    }
    let name = "radius";
    let words = [
        "netns",
        "exec",
        sw,
        "freeradius",
        "-f",
        "-x",
        "-l",
        "stdout",
        "-n",
        "radiusd",
        "-d",
    ];
    let args = words
        .map(str::to_owned)
        .into_iter()
        .chain([dir.display().to_string()]);
    let skip = std::fs::metadata(rig.path("radius.log")).map_or(0, |meta| meta.len());
    let mut radius = Process::start(rig, name, "ip".as_ref(), args)?;
    let skip = usize::try_from(skip).context("a log of this size")?;
    radius.says_after(skip, "Ready to process requests", Duration::from_secs(60))?;
    Ok(radius)
}

/// Where the modules are; FreeRADIUS takes the folder of another path than it was built for.
fn modules() -> anyhow::Result<PathBuf> {
    must("test", &["-x", "/usr/sbin/freeradius"]).context("FreeRADIUS is not installed")?;
    let found = std::fs::read_dir("/usr/lib")?
        .flatten()
        .map(|entry| entry.path().join("freeradius"))
        .chain([PathBuf::from("/usr/lib/freeradius")])
        .find(|dir| dir.join("rlm_eap.so").exists());
    found.context("FreeRADIUS has no modules")
}

fn conf(rig: &Rig, server: &ServerCert, tls: &str) -> anyhow::Result<String> {
    let certs = Certs::get()?;
    let (cert, key) = server.files();
    let (cert, key, ca) = (certs.path(&cert), certs.path(&key), certs.path("ca.pem"));
    let dir = rig.dir().display();
    // what is asked inside a tunnel is judged as what is asked outside
    let judge = "
  authorize {
    chap
    mschap
    eap {
      ok = return
    }
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type CHAP {
      chap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
";
    Ok(format!(
        "prefix = /usr
libdir = {modules}
raddbdir = {dir}/raddb
logdir = {dir}
run_dir = {dir}
name = radiusd
max_request_time = 10
cleanup_delay = 2
hostname_lookups = no
proxy_requests = no
log {{
  destination = stdout
  auth = yes
}}
security {{
  reject_delay = 0
  status_server = no
  allow_vulnerable_openssl = yes
}}
client switch {{
  ipaddr = 127.0.0.1
  secret = \"{SECRET}\"
}}
thread pool {{
  start_servers = 1
  max_servers = 2
}}
modules {{
  pap {{
  }}
  chap {{
  }}
  mschap {{
  }}
  files {{
    usersfile = {dir}/raddb/users
  }}
  eap {{
    default_eap_type = md5
    timer_expire = 60
    md5 {{
    }}
    mschapv2 {{
    }}
    gtc {{
      auth_type = PAP
    }}
    tls-config lab {{
      private_key_file = {key}
      certificate_file = {cert}
      ca_file = {ca}
      cipher_list = \"DEFAULT\"
      tls_min_version = \"1.2\"
      tls_max_version = \"{tls}\"
      ecdh_curve = \"\"
    }}
    tls {{
      tls = lab
    }}
    ttls {{
      tls = lab
      default_eap_type = md5
      virtual_server = inner
    }}
    peap {{
      tls = lab
      default_eap_type = mschapv2
      virtual_server = inner
    }}
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = 1812
  }}
{judge}
}}
server inner {{
{judge}
}}
",
        modules = modules()?.display(),
        key = key.display(),
        cert = cert.display(),
        ca = ca.display(),
    ))
}
