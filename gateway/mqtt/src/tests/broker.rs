//! A real Mosquitto of a test's own, and a gate in front of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::sync::watch;

/// The one user of brokers with a login.
pub(super) const USER: &str = "door";
/// The other one, of brokers with an access list.
pub(super) const OWNER: &str = "owner";
pub(super) const PASSWORD: &str = "door-pass";

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn tool(name: &str) -> Command {
    let place = PathBuf::from("/usr/sbin").join(name);
    Command::new(if place.exists() { place } else { name.into() })
}

/// A Mosquitto on loopback: one plain port, one with TLS for `localhost`, a login, nothing kept on disk.
pub(super) struct Mosquitto {
    child: Option<Child>,
    dir: TempDir,
    pub(super) port: u16,
    pub(super) tls_port: u16,
}

impl Mosquitto {
    pub(super) fn start() -> Self {
        Self::with_access_list("user door\ntopic readwrite #\nuser owner\ntopic readwrite #\n")
    }

    /// With another access list than one that lets both users do everything.
    pub(super) fn with_access_list(list: &str) -> Self {
        Self::with(list, "")
    }

    /// One that takes and sends packets of so many bytes at most.
    pub(super) fn with_largest_packet(bytes: u32) -> Self {
        let all = "user door\ntopic readwrite #\nuser owner\ntopic readwrite #\n";
        Self::with(all, &format!("max_packet_size {bytes}\n"))
    }

    /// With an access list and further lines of its configuration.
    fn with(list: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut broker = Self {
            child: None,
            port: free_port(),
            tls_port: free_port(),
            dir,
        };
        broker.certificates();
        let passwords = broker.path("passwords");
        std::fs::write(&passwords, "").expect("written");
        for user in [USER, OWNER] {
            let made = Command::new("mosquitto_passwd")
                .arg("-b")
                .arg(&passwords)
                .args([user, PASSWORD])
                .status();
            let made = made.expect("mosquitto_passwd is not installed: apt-get install mosquitto");
            assert!(made.success());
        }
        std::fs::write(broker.path("access"), list).expect("written");
        let at = |name| broker.path(name).display().to_string();
        // as root it would change to a user that cannot read the folder
        let config = format!(
            "user root\npersistence false\nlog_dest stderr\nallow_anonymous false\npassword_file {}\nacl_file {}\n\
             {more}listener {} 127.0.0.1\nlistener {} 127.0.0.1\ncertfile {}\nkeyfile {}\ncafile {}\n",
            at("passwords"),
            at("access"),
            broker.port,
            broker.tls_port,
            at("broker.pem"),
            at("broker.key"),
            at("ca.pem"),
        );
        std::fs::write(broker.path("mosquitto.conf"), config).expect("written");
        broker.restart();
        broker
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn certificates(&self) {
        let key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&key).expect("a CA");
        let issuer = Issuer::new(ca.clone(), key);
        let own_key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let own = own.signed_by(&own_key, &issuer).expect("a certificate");
        ca.distinguished_name.push(DnType::CommonName, "somebody else");
        let stranger = ca
            .self_signed(&KeyPair::generate().expect("a key"))
            .expect("a CA");
        for (name, text) in [
            ("ca.pem", root.pem()),
            ("stranger.pem", stranger.pem()),
            ("broker.pem", own.pem()),
            ("broker.key", own_key.serialize_pem()),
        ] {
            std::fs::write(self.path(name), text).expect("written");
        }
    }

    /// Ends it without a farewell.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// Starts it on the same ports; it remembers nothing.
    pub(super) fn restart(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let child = tool("mosquitto")
            .arg("-c")
            .arg(self.path("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("mosquitto is not installed: apt-get install mosquitto"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "mosquitto does not listen:\n{log}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A TCP forwarder that can be shut: what is connected is cut, what comes is turned away.
pub(super) struct Gate {
    open: watch::Sender<bool>,
    pub(super) port: u16,
}

impl Gate {
    pub(super) async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.clone();
                if !*state.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    let Ok(mut far) = tokio::net::TcpStream::connect(to).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { open, port: own }
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}
