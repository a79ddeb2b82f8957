//! Reads the keys at a 1-Wire master of the kernel.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError};
use gateway_core::{ReaderId, SignalKind};
use tokio::io::AsyncReadExt;

use crate::touch::Touch;

/// How often the master's list is read: it searches at its own pace, which is slower.
const LOOK: Duration = Duration::from_millis(50);
/// A master that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Most bytes of its list that are read.
const LONGEST: u64 = 4096;
/// Its list of devices (`Documentation/w1/w1-generic.rst` of the kernel).
const LIST: &str = "w1_master_slaves";

/// A reader of contact keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReader {
    /// Folder of the master, such as `/sys/bus/w1/devices/w1_bus_master1`.
    pub master: PathBuf,
    /// Which reader of the gateway.
    pub reader: ReaderId,
    /// The same key counts once in this time.
    pub repeat: Duration,
}

async fn list(master: &Path) -> io::Result<String> {
    let file = tokio::fs::File::open(master.join(LIST)).await?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).await?;
    Ok(text)
}

impl Adapter for KeyReader {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.work(&ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

impl KeyReader {
    async fn work(&self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        let device = self.master.display();
        let mut touch = Touch::new(self.repeat);
        // what was told last of the master: is it there?
        let mut well = None;
        loop {
            let read = list(&self.master).await;
            let now = ctx.clock.now();
            let pause = match read {
                Ok(text) => {
                    if well.replace(true) != Some(true) {
                        ctx.signal(now, SignalKind::Ready).await?;
                    }
                    for frame in touch.listed(now, &text) {
                        let reader = self.reader.clone();
                        ctx.signal(now, SignalKind::Card { frame, reader }).await?;
                    }
                    LOOK
                }
                Err(error) => {
                    touch.forget();
                    if well.replace(false) != Some(false) {
                        let text = format!(
                            "{device} cannot be read ({error}): is the overlay w1-gpio set, or the adapter plugged in?"
                        );
                        ctx.signal(now, SignalKind::Fault(text)).await?;
                    }
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use adapter_api::Shutdown;
    use gateway_core::{Clock, Instant, Signal};
    use tokio::sync::mpsc;

    use super::*;

    /// What is awaited comes, or the test has failed.
    const LIMIT: Duration = Duration::from_secs(20);

    struct Boottime;

    impl Clock for Boottime {
        fn now(&self) -> Instant {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            let whole = u64::try_from(now.tv_sec).expect("after the boot") * 1_000_000_000;
            Instant::from_nanos(whole + u64::try_from(now.tv_nsec).expect("positive"))
        }
        fn wall(&self) -> gateway_core::Timestamp {
            gateway_core::Timestamp::UNIX_EPOCH
        }
    }

    async fn next(said: &mut mpsc::Receiver<Signal>) -> SignalKind {
        let signal = tokio::time::timeout(LIMIT, said.recv()).await;
        signal.expect("in time").expect("it runs").kind
    }

    #[tokio::test]
    async fn a_master_that_comes_and_goes_is_told_and_a_key_is_a_card() {
        let folder = tempfile::tempdir().expect("a folder");
        let master = folder.path().join("w1_bus_master1");
        let reader = KeyReader {
            master: master.clone(),
            reader: "street".parse().expect("a name"),
            repeat: Duration::ZERO,
        };
        let (stop, shutdown) = Shutdown::new();
        let (signals, mut said) = mpsc::channel(16);
        let context = AdapterContext {
            audio: mpsc::channel(1).0,
            clock: Arc::new(Boottime),
            device: "reader-street".parse().expect("a name"),
            lines: mpsc::channel(1).1,
            shutdown,
            signals,
            simulated: false,
        };
        let runs = tokio::spawn(reader.run(context));
        let SignalKind::Fault(text) = next(&mut said).await else {
            panic!("it is not there");
        };
        assert!(text.contains("w1-gpio"), "{text}");
        std::fs::create_dir(&master).expect("made");
        let lists = |text: &str| {
            // whole at once, as the kernel has it
            let new = folder.path().join("new");
            std::fs::write(&new, text).expect("written");
            std::fs::rename(&new, master.join(LIST)).expect("moved");
        };
        lists("01-00000000abcd\n");
        assert_eq!(next(&mut said).await, SignalKind::Ready);
        lists("01-0000012f4a3c\n28-000000000001\n");
        let SignalKind::Card { frame, .. } = next(&mut said).await else {
            panic!("a key");
        };
        assert_eq!(frame.data, [0x01, 0x3C, 0x4A, 0x2F, 0x01, 0x00, 0x00, 0xB8]);
        std::fs::remove_dir_all(&master).expect("gone");
        assert!(matches!(next(&mut said).await, SignalKind::Fault(_)));
        stop.send(true).expect("it runs");
        assert!(runs.await.expect("it ends").is_ok());
    }
}
