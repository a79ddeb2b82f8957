//! Serial adapters that the virtual machine has on a USB of its own, driven by the kernel (`ftdi_sio`): one is the gateway's, one joined
//! to it has a relay board behind it, and a third one has nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

use super::board::Edge;
use super::wire::boottime;

/// Devices on the buses.
const DEVICES: &str = "/sys/bus/usb/devices";
/// Where udev has the names of ports that stay.
const BY_ID: &str = "/dev/serial/by-id";
/// How long the kernel may take for a device on a machine that is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a USB controller is on its own bus (PCI class code, xHCI).
const XHCI: &str = "0x0c0330";
/// Where the virtual machine itself is spoken to.
const HAND: &str = "/dev/ttyS1";

/// An adapter, whatever port it is in and whatever the kernel calls it.
pub(crate) struct Adapter {
    /// What udev calls it.
    pub(crate) link: PathBuf,
    serial: &'static str,
}

/// Does something outside the machine.
fn outside(order: &str) {
    let noctty = i32::try_from(OFlags::NOCTTY.bits()).expect("small");
    let mut open = File::options();
    let mut hand = open.write(true).custom_flags(noctty).open(HAND).expect("a hand");
    let mut mode = tcgetattr(&hand).expect("a terminal");
    mode.make_raw();
    tcsetattr(&hand, OptionalActions::Now, &mode).expect("set");
    // what the terminal may have echoed before it was raw ends as a line of its own
    write!(hand, "\n{order}\n").expect("written");
    tcdrain(&hand).expect("sent");
}

fn read(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The device with this serial number.
fn device(serial: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(DEVICES).ok()?.flatten();
    let mut devices = entries.map(|entry| entry.path());
    devices.find(|device| read(&device.join("serial")).as_deref() == Some(serial))
}

/// Its port: the kernel's name of it, and its number on the device.
fn tty(device: &Path) -> Option<(String, String)> {
    let name = device.file_name()?.to_string_lossy().into_owned();
    let mut ports = std::fs::read_dir(device.join(format!("{name}:1.0")))
        .ok()?
        .flatten();
    let port = ports.find(|entry| entry.file_name().to_string_lossy().starts_with("ttyUSB"))?;
    let number = read(&port.path().join("port_number"))?;
    let tty = port.file_name().to_string_lossy().into_owned();
    Path::new("/dev").join(&tty).exists().then_some((tty, number))
}

fn within<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Has something done outside until it is done; said again, it is refused there.
fn ordered(order: &str, done: impl Fn() -> bool) {
    within(order, || {
        outside(order);
        let end = Instant::now() + Duration::from_secs(2);
        while !done() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        done().then_some(())
    });
}

impl Adapter {
    /// The one with this serial number, once the kernel has found it.
    pub(crate) fn find(serial: &'static str) -> Self {
        let device = within(serial, || device(serial));
        let (_, number) = within("a port", || tty(&device));
        let part = |key: &str| read(&device.join(key)).expect("told").replace(' ', "_");
        let (maker, product) = (part("manufacturer"), part("product"));
        // as udev's rules for serial ports make it
        let name = format!("usb-{maker}_{product}_{serial}-if00-port{number}");
        let adapter = Self {
            link: Path::new(BY_ID).join(name),
            serial,
        };
        adapter.settle();
        adapter
    }

    /// What the kernel calls its port.
    pub(crate) fn tty(&self) -> String {
        within("a port", || tty(&device(self.serial)?)).0
    }

    /// The part of udev: links the name to the port that it is today.
    fn settle(&self) {
        let tty = self.tty();
        std::fs::create_dir_all(BY_ID).expect("made");
        let fresh = self.link.with_extension("fresh");
        std::os::unix::fs::symlink(format!("../../{tty}"), &fresh).expect("linked");
        std::fs::rename(&fresh, &self.link).expect("renamed");
    }

    /// Somebody pulls it out: the kernel loses the device, and udev drops its name.
    pub(crate) fn unplug(&self) {
        let order = format!("device_del {}", self.serial.to_lowercase());
        ordered(&order, || device(self.serial).is_none());
        std::fs::remove_file(&self.link).expect("removed");
    }

    /// Somebody plugs it in again: a new device.
    pub(crate) fn plug(&self) {
        let (id, serial) = (self.serial.to_lowercase(), self.serial);
        let order = format!("device_add usb-serial,id={id},chardev={id},serial={serial}");
        ordered(&order, || device(serial).is_some());
        self.settle();
    }

    /// Somebody else who has the port open and does not let go: its name is not free for the next device.
    pub(crate) fn hold(&self) -> File {
        let options = OFlags::NOCTTY | OFlags::NONBLOCK;
        let options = i32::try_from(options.bits()).expect("small");
        let mut open = File::options();
        open.read(true).write(true).custom_flags(options);
        open.open(Path::new("/dev").join(self.tty()))
            .expect("opened by root")
    }
}

/// An LCUS board behind an adapter: it obeys, and tells each frame.
pub(crate) struct Lcus {
    frames: mpsc::Receiver<Edge>,
}

impl Lcus {
    pub(crate) fn behind(adapter: &Adapter) -> Self {
        let mut open = File::options();
        open.read(true).write(true);
        let noctty = i32::try_from(OFlags::NOCTTY.bits()).expect("small");
        let path = Path::new("/dev").join(adapter.tty());
        let mut port = open.custom_flags(noctty).open(path).expect("a port");
        let mut mode = tcgetattr(&port).expect("a terminal");
        mode.make_raw();
        tcsetattr(&port, OptionalActions::Now, &mode).expect("set");
        port.flush().expect("flushed");
        let (tell, frames) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut mind, mut byte) = (Vec::new(), [0]);
            while port.read_exact(&mut byte).is_ok() {
                mind.push(byte[0]);
                let from = mind.len().saturating_sub(4);
                // 0xA0, relay, state, and their sum
                let &[0xA0, relay, state @ (0 | 1), sum] = &mind[from..] else {
                    continue;
                };
                if sum != 0xA0_u8.wrapping_add(relay).wrapping_add(state) {
                    continue;
                }
                mind.clear();
                let frame = Edge {
                    at: boottime(),
                    on: state == 1,
                    relay: relay.into(),
                };
                if tell.send(frame).is_err() {
                    return;
                }
            }
        });
        Self { frames }
    }

    /// The next frame that it got.
    pub(crate) fn frame(&self, patience: Duration) -> Option<Edge> {
        self.frames.recv_timeout(patience).ok()
    }

    /// All frames so far that nobody has looked at.
    pub(crate) fn frames(&self) -> Vec<Edge> {
        self.frames.try_iter().collect()
    }
}

/// What hangs at this machine's USB.
pub(crate) struct Usb {
    pub(crate) board: Lcus,
    /// The gateway's.
    pub(crate) gateway: Adapter,
    /// One with nothing behind it, whose driver switches no direction.
    pub(crate) other: Adapter,
}

impl Usb {
    /// `None` on a machine without.
    pub(crate) fn find() -> Option<Self> {
        let mut controllers = std::fs::read_dir("/sys/bus/pci/devices").ok()?.flatten();
        controllers.find(|pci| read(&pci.path().join("class")).as_deref() == Some(XHCI))?;
        let gateway = Adapter::find("GATEWAY");
        let (board, other) = (Adapter::find("BOARD"), Adapter::find("OTHER"));
        Some(Self {
            board: Lcus::behind(&board),
            gateway,
            other,
        })
    }
}

/// Processor time of a process and its threads so far.
pub(crate) fn busy(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |n: usize| fields[n].parse::<u64>().expect("a number");
    // utime and stime, in hundredths (proc_pid_stat(5), fields 14 and 15)
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
