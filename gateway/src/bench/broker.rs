//! A broker on loopback and clients that listen and speak there. Mosquitto if it is installed, else the one of the demo.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use gateway_mqtt::EmbeddedBroker;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use crate::bench::{boottime, progress};

/// Longest time until a broker listens, and until it has taken a client.
const START: Duration = Duration::from_secs(10);
/// Longest wait for one message.
const WAIT: Duration = Duration::from_secs(10);
/// Messages that a client may have on their way.
const QUEUE: usize = 1000;

/// A broker.
pub(crate) struct Broker {
    /// Which one it is.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    process: Option<std::process::Child>,
}

impl Broker {
    /// Starts one; its files are in `dir`.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let conf = dir.join("mosquitto.conf");
        // without the last one an answer waits 40 ms for the acknowledgement of what went before it
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        );
        std::fs::write(&conf, text)?;
        // Debian keeps it where ordinary users have no path to
        let found = ["mosquitto", "/usr/sbin/mosquitto"]
            .into_iter()
            .find_map(|program| {
                let mut command = Command::new(program);
                command.arg("-c").arg(&conf);
                let quiet = command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                quiet.spawn().ok()
            });
        let Some(mut process) = found else {
            progress(
                "Mosquitto is not installed (apt-get install mosquitto); the broker of the demo takes its place",
            );
            let broker = EmbeddedBroker::start()?;
            return Ok(Self {
                name: "the demo's broker",
                port: broker.port(),
                process: None,
            });
        };
        let end = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = process.try_wait()? {
                bail!("Mosquitto ended with {status}");
            }
            ensure!(Instant::now() < end, "Mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self {
            name: "Mosquitto",
            port,
            process: Some(process),
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A message that came.
#[derive(Debug)]
pub(crate) struct Heard {
    /// When, in nanoseconds of the boot clock.
    pub(crate) at: u64,
    pub(crate) payload: Vec<u8>,
}

/// A client that listens to one topic and speaks to any.
pub(crate) struct Peer {
    client: Client,
    heard: Receiver<Heard>,
}

impl Peer {
    /// Connects, and waits until the broker has taken the subscription.
    pub(crate) fn start(broker: &Broker, name: &str, topic: &str) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new(name, "127.0.0.1", broker.port);
        options.set_keep_alive(Duration::from_secs(60));
        let (client, connection) = Client::new(options, QUEUE);
        let (to, heard) = channel();
        let (tell_ready, ready) = channel();
        std::thread::Builder::new()
            .name("bench-mqtt".into())
            .spawn(move || listen(connection, &to, &tell_ready))?;
        client.subscribe(topic, QoS::AtLeastOnce)?;
        ready
            .recv_timeout(START)
            .with_context(|| format!("{} took no subscription to {topic}", broker.name))?;
        Ok(Self { client, heard })
    }

    /// Publishes with QoS 1.
    pub(crate) fn say(&self, topic: &str, payload: &[u8]) -> anyhow::Result<()> {
        Ok(self.client.publish(topic, QoS::AtLeastOnce, false, payload)?)
    }

    /// The next message.
    pub(crate) fn next(&self) -> anyhow::Result<Heard> {
        self.heard.recv_timeout(WAIT).context("no message came")
    }

    /// The next message that fits; `None` if none came within the limit.
    pub(crate) fn find(
        &self,
        limit: Duration,
        fits: impl Fn(&[u8]) -> bool,
    ) -> anyhow::Result<Option<Heard>> {
        let end = Instant::now() + limit;
        loop {
            match self
                .heard
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(heard) if fits(&heard.payload) => return Ok(Some(heard)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the broker ended the connection"),
            }
        }
    }

    /// Forgets what has come.
    pub(crate) fn forget(&self) {
        while self.heard.try_recv().is_ok() {}
    }
}

fn listen(mut connection: rumqttc::Connection, to: &Sender<Heard>, ready: &Sender<()>) {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                let _ = ready.send(());
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let heard = Heard {
                    at: boottime(),
                    payload: message.payload.to_vec(),
                };
                if to.send(heard).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            // the broker is gone: whoever waits for a message says so
            Err(_) => return,
        }
    }
}
