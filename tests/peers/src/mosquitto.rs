//! A real Mosquitto, and a client that keeps what it gets.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{bail, ensure};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::trust::Trust;

/// How a broker guards itself, besides the open listener on [`Use::Mqtt`].
#[derive(Clone, Debug, Default)]
pub struct BrokerParams<'a> {
    /// Lines of an access list for people without a name at the open listener; empty: everything is allowed.
    pub anonymous: &'a [&'a str],
    /// Access list and names of those who may come to the open listener, all with the password of [`Mosquitto::LOGIN`]; then
    /// nobody comes without a name.
    pub people: Option<(&'a str, &'a [&'a str])>,
    /// A second listener on [`Use::MqttTls`] with this server's certificate, for `gateway` with a password only.
    pub tls: Option<&'a Trust>,
    /// That listener wants certificates of clients, from this authority.
    pub clients: Option<&'a Path>,
    /// What it keeps is on its disk at each change, and there again after a kill.
    pub persistent: bool,
    /// Any number of messages may wait for a client; else it leaves out what is more than 1000.
    pub patient: bool,
}

/// A running broker.
#[derive(Debug)]
pub struct Mosquitto {
    port: u16,
    process: Process,
}

impl Mosquitto {
    /// Name and password at the listener with TLS.
    pub const LOGIN: (&'static str, &'static str) = ("gateway", "a broker's pass phrase");

    /// Starts one that takes everybody.
    ///
    /// # Errors
    /// If it does not within 10 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        Self::start_with(rig, &BrokerParams::default())
    }

    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// If it does not within 10 s.
    pub fn start_with(rig: &Rig, params: &BrokerParams<'_>) -> anyhow::Result<Self> {
        let port = rig.port(Use::Mqtt);
        let file = rig.path("mosquitto.conf");
        // without a user it would give up root and not be able to read its own file
        let mut text = format!(
            "per_listener_settings true\n{}user root\nlog_type all\n\
             listener {port} 127.0.0.1\nallow_anonymous {}\n",
            persistence(rig, params.persistent)?,
            params.people.is_none()
        );
        if let Some((list, names)) = params.people {
            let (acl, passwords) = (rig.path("people.acl"), rig.path("people.passwords"));
            std::fs::write(&acl, list)?;
            std::fs::write(&passwords, "")?;
            for name in names {
                password(&passwords, name)?;
            }
            text += &format!(
                "password_file {}\nacl_file {}\n",
                passwords.display(),
                acl.display()
            );
        }
        if !params.anonymous.is_empty() {
            let list = rig.path("mosquitto.acl");
            std::fs::write(&list, params.anonymous.join("\n") + "\n")?;
            text += &format!("acl_file {}\n", list.display());
        }
        if let Some(trust) = params.tls {
            let passwords = rig.path("mosquitto.passwords");
            std::fs::write(&passwords, "")?;
            password(&passwords, Self::LOGIN.0)?;
            text += &format!(
                "listener {} 127.0.0.1\nallow_anonymous false\npassword_file {}\ncertfile {}\nkeyfile {}\n",
                rig.port(Use::MqttTls),
                passwords.display(),
                trust.cert.display(),
                trust.key.display()
            );
            if let Some(authority) = params.clients {
                text += &format!("cafile {}\nrequire_certificate true\n", authority.display());
            }
        }
        if params.patient {
            // a general setting: it stands before the first listener
            text = text.replacen("listener ", "max_queued_messages 0\nlistener ", 1);
        }
        std::fs::write(&file, text)?;
        let mut broker = Self {
            port,
            process: Self::spawn(rig)?,
        };
        broker.serves()?;
        Ok(broker)
    }

    fn spawn(rig: &Rig) -> anyhow::Result<Process> {
        let file = rig.path("mosquitto.conf");
        Process::start(
            rig,
            "mosquitto",
            Path::new("/usr/sbin/mosquitto"),
            ["-c".as_ref(), file.as_os_str()],
        )
    }

    fn serves(&mut self) -> anyhow::Result<()> {
        until(Duration::from_secs(10), "Mosquitto to serve", || {
            if let Some(status) = self.process.ended()? {
                bail!("it ended with {status}: {}", self.process.log());
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .ok()
                .map(drop))
        })
    }

    /// Which MQTT is spoken on each connection that it took, by the name of the client: `p4` is 3.1.1, `p5` is 5.
    #[must_use]
    pub fn spoken(&self) -> Vec<(String, String)> {
        let log = self.process.log();
        let told = log
            .lines()
            .filter_map(|line| line.split_once("New client connected from "));
        told.filter_map(|(_, client)| {
            let (_, rest) = client.split_once(" as ")?;
            let (name, how) = rest.split_once(" (")?;
            Some((name.to_owned(), how.split(',').next()?.to_owned()))
        })
        .collect()
    }

    /// Clients whose subscriptions it has taken, by their names.
    #[must_use]
    pub fn subscribers(&self) -> Vec<String> {
        let log = self.process.log();
        let told = log
            .lines()
            .filter_map(|line| line.split_once("Sending SUBACK to "));
        told.map(|(_, name)| name.trim().to_owned()).collect()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What a broker that is not running has on its disk goes.
    ///
    /// # Errors
    /// If that cannot be removed.
    pub fn erase(&self, rig: &Rig) -> anyhow::Result<()> {
        for file in std::fs::read_dir(rig.path(DISK))? {
            std::fs::remove_file(file?.path())?;
        }
        Ok(())
    }

    /// Starts it again, with what it has on its disk: nothing, unless it is a persistent one.
    ///
    /// # Errors
    /// As [`Mosquitto::start`].
    pub fn again(&mut self, rig: &Rig) -> anyhow::Result<()> {
        self.process = Self::spawn(rig)?;
        self.serves()
    }
}

/// Where a persistent broker keeps things.
const DISK: &str = "mosquitto-disk";

/// Lines of its configuration.
fn persistence(rig: &Rig, wanted: bool) -> anyhow::Result<String> {
    if !wanted {
        return Ok("persistence false\n".to_owned());
    }
    let disk = rig.path(DISK);
    std::fs::create_dir_all(&disk)?;
    Ok(format!(
        "persistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1\n",
        disk.display()
    ))
}

/// Lets somebody in, with the password of [`Mosquitto::LOGIN`].
fn password(file: &Path, name: &str) -> anyhow::Result<()> {
    let made = Command::new("mosquitto_passwd")
        .arg("-b")
        .arg(file)
        .args([name, Mosquitto::LOGIN.1])
        .output()?;
    ensure!(made.status.success(), "mosquitto_passwd: {made:?}");
    Ok(())
}

/// Listeners so far: two of one name would throw each other out.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its payload, if it is JSON; else its text.
    pub payload: Value,
    /// Was it sent because it was retained?
    pub retained: bool,
    /// Topic.
    pub topic: String,
}

/// A client that keeps every message. It reconnects by itself until it is dropped.
pub struct Listener {
    client: Client,
    ended: Arc<AtomicBool>,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Subscribes to everything and waits until the broker has granted it.
    ///
    /// # Errors
    /// If it does not within 10 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new(
            format!("listener-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            "127.0.0.1",
            rig.port(Use::Mqtt),
        );
        options.set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut connection) = Client::new(options, 64);
        let messages = Arc::<Mutex<Vec<Message>>>::default();
        let granted = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let (to, flag, again) = (Arc::clone(&messages), Arc::clone(&granted), client.clone());
        std::thread::spawn(move || {
            for event in connection.iter() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        let _ = again.try_subscribe("#", QoS::AtLeastOnce);
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        flag.store(true, Ordering::Relaxed);
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        let text = String::from_utf8_lossy(&message.payload).into_owned();
                        to.lock().unwrap_or_else(PoisonError::into_inner).push(Message {
                            payload: serde_json::from_str(&text).unwrap_or(Value::String(text)),
                            retained: message.retain,
                            topic: message.topic,
                        });
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        });
        until(Duration::from_secs(10), "the subscription", || {
            Ok(granted.load(Ordering::Relaxed).then_some(()))
        })?;
        Ok(Self {
            client,
            ended,
            messages,
        })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the client has ended.
    pub fn send(&self, topic: &str, payload: &Value, retained: bool) -> anyhow::Result<()> {
        self.send_bytes(topic, payload.to_string(), retained)
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// As [`Listener::send`].
    pub fn send_bytes(&self, topic: &str, payload: impl Into<Vec<u8>>, retained: bool) -> anyhow::Result<()> {
        Ok(self.client.publish(topic, QoS::AtLeastOnce, retained, payload)?)
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Message> {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a message that fits, from the first on.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn hears(
        &self,
        what: &str,
        limit: Duration,
        fits: impl Fn(&Message) -> bool,
    ) -> anyhow::Result<Message> {
        until(limit, &format!("{what} over MQTT"), || {
            Ok(self.all().into_iter().find(&fits))
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // what wakes the thread: an answer to this, or the broker's end
        let _ = self.client.try_disconnect();
    }
}
