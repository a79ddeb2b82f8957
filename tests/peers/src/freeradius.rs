//! A real FreeRADIUS, and somebody on the way to it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};

/// A server, number 0 or 1 of its test.
#[derive(Clone, Copy, Debug)]
pub struct RadiusParams<'a> {
    /// It puts Message-Authenticator into its answers, as 3.2.5 and later do of their own accord.
    pub message_authenticator: bool,
    /// Which of the test's servers.
    pub n: u16,
    /// What it shares with the gateway.
    pub secret: &'a str,
}

impl Default for RadiusParams<'_> {
    fn default() -> Self {
        Self {
            message_authenticator: true,
            n: 0,
            secret: FreeRadius::SECRET,
        }
    }
}

/// A running FreeRADIUS with the people of [`FreeRadius::PEOPLE`].
#[derive(Debug)]
pub struct FreeRadius {
    accounts: PathBuf,
    process: Process,
}

impl FreeRadius {
    /// What it shares with the gateway, unless said otherwise.
    pub const SECRET: &'static str = "a secret of the test 0815";
    /// Name, password and Service-Type of everybody it knows.
    pub const PEOPLE: [(&'static str, &'static str, Option<&'static str>); 4] = [
        ("admin1", "admin pass phrase", Some("Administrative-User")),
        ("user1", "user pass phrase", Some("Login-User")),
        ("nost1", "nost pass phrase", None),
        ("framed1", "framed pass phrase", Some("Framed-User")),
    ];

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it does not within 20 s.
    pub fn start(rig: &Rig, params: RadiusParams<'_>) -> anyhow::Result<Self> {
        let n = params.n;
        let dir = rig.path(&format!("radius{n}"));
        std::fs::create_dir_all(&dir)?;
        let accounts = dir.join("detail");
        std::fs::write(dir.join("users"), users())?;
        std::fs::write(dir.join("radiusd.conf"), config(rig, &dir, params))?;
        let dictionary = dir.join("dictionary");
        if !dictionary.exists() {
            std::os::unix::fs::symlink("/usr/share/freeradius/dictionary", &dictionary)?;
        }
        let name = format!("radius{n}");
        // one that was there before has written to the same log
        let said = std::fs::metadata(rig.path(&format!("{name}.log"))).map_or(0, |m| m.len());
        let said = usize::try_from(said)?;
        let args = ["-f", "-x", "-l", "stdout", "-n", "radiusd", "-d"].map(Into::into);
        let args = args.into_iter().chain([dir.into_os_string()]);
        let mut process = Process::start(rig, &name, Path::new("/usr/sbin/freeradius"), args)?;
        process.says_after(said, "Ready to process requests", Duration::from_secs(20))?;
        Ok(Self { accounts, process })
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a record of accounting that holds all these lines.
    ///
    /// # Errors
    /// If there is none within 10 s.
    pub fn accounted(&self, lines: &[&str]) -> anyhow::Result<String> {
        let what = format!("accounting with {lines:?}");
        until(Duration::from_secs(10), &what, || {
            let text = std::fs::read_to_string(&self.accounts).unwrap_or_default();
            let fits = |record: &&str| lines.iter().all(|line| record.contains(line));
            Ok(text.split("\n\n").find(fits).map(str::to_owned))
        })
    }
}

fn users() -> String {
    let person = |(name, password, service): &(&str, &str, Option<&str>)| {
        let service = service.map_or_else(String::new, |s| format!("Service-Type := {s}, "));
        // who is refused gets these as well: the gateway has to look at the code first
        format!(
            "{name} Cleartext-Password := \"{password}\"\n\t{service}Reply-Message := \"hello\", Class := 0x0102\n\n"
        )
    };
    FreeRadius::PEOPLE.iter().map(person).collect()
}

fn config(rig: &Rig, dir: &Path, params: RadiusParams<'_>) -> String {
    let (auth, accounting) = (
        rig.port(Use::Radius(params.n)),
        rig.port(Use::RadiusAccounting(params.n)),
    );
    let sign = if params.message_authenticator {
        "update reply {\n Message-Authenticator := 0x00\n }"
    } else {
        "ok"
    };
    let (dir, secret) = (dir.display(), params.secret);
    format!(
        r#"
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {dir}
logdir = {dir}
run_dir = {dir}
name = radiusd
max_request_time = 10
cleanup_delay = 2
max_requests = 1024
hostname_lookups = no
log {{
  destination = stdout
  auth = yes
}}
proxy_requests = no
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = yes
  allow_vulnerable_openssl = yes
}}
client gateway {{
  ipaddr = 127.0.0.1
  secret = "{secret}"
  require_message_authenticator = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
}}
modules {{
  always ok {{
    rcode = ok
  }}
  pap {{
  }}
  files {{
    usersfile = {dir}/users
  }}
  detail {{
    filename = {dir}/detail
    permissions = 0600
    header = "%t"
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {auth}
  }}
  listen {{
    type = acct
    ipaddr = 127.0.0.1
    port = {accounting}
  }}
  authorize {{
    files
    pap
  }}
  authenticate {{
    Auth-Type PAP {{
      pap
    }}
  }}
  preacct {{
    ok
  }}
  accounting {{
    detail
  }}
  post-auth {{
    {sign}
    Post-Auth-Type REJECT {{
      {sign}
    }}
  }}
}}
"#
    )
}

/// What somebody on the way does with an answer: the datagrams that arrive in its place.
pub type Meddle = dyn FnMut(&[u8], Vec<u8>) -> Vec<Vec<u8>> + Send;

/// Somebody on the way between gateway and server, on [`Use::RadiusRelay`].
#[derive(Debug)]
pub struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    /// Passes requests on to server 0, and of each answer what `meddle` makes of request and answer.
    ///
    /// # Errors
    /// If its port cannot be used.
    pub fn start(rig: &Rig, mut meddle: Box<Meddle>) -> anyhow::Result<Self> {
        let ours = UdpSocket::bind((Ipv4Addr::LOCALHOST, rig.port(Use::RadiusRelay)))?;
        let theirs = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        theirs.connect((Ipv4Addr::LOCALHOST, rig.port(Use::Radius(0))))?;
        for socket in [&ours, &theirs] {
            socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        }
        let stop = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut asked: Option<(SocketAddr, Vec<u8>)> = None;
            let mut buffer = [0; 4096];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((length, from)) = ours.recv_from(&mut buffer) {
                    asked = Some((from, buffer[..length].to_vec()));
                    let _ = theirs.send(&buffer[..length]);
                }
                let Ok(length) = theirs.recv(&mut buffer) else {
                    continue;
                };
                let Some((to, request)) = &asked else { continue };
                for datagram in meddle(request, buffer[..length].to_vec()) {
                    let _ = ours.send_to(&datagram, to);
                }
            }
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
