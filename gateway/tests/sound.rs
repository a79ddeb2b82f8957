//! The whole gateway on a sound card that the kernel simulates (snd-aloop), in a call with baresip: both hear each other, also
//! after the card was unplugged and after the gateway stood still.
//!
//! Makes cards come and go, so it needs root and the modules: `tests/vm/sound` runs it in a virtual machine. Elsewhere its
//! cases are ignored, and it says so.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What the visitor says, and what the phone says, in Hz.
const VISITOR: u32 = 1000;
const PHONE: u32 = 600;
/// Rate at the far end of the loop.
const RATE: u32 = 16_000;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The driver of the simulated card, and its device.
const DRIVER: &str = "/sys/bus/platform/drivers/snd_aloop";
const DEVICE: &str = "snd_aloop.0";
/// Port of the phone's commands.
const STEER: u16 = 4444;

const SITE: &str = r#"
[site]
name = "Sound"
address = "1 rue des Lilas"
number = "000000001"
id = "sound"
state-dir = "/tmp/sound/state"
run-dir = "/tmp/sound/run"
[http]
listen = "127.0.0.1:8080"
[sip]
udp-port = 5070
tcp-port = 5070
codecs = ["g722", "pcma"]
[inputs.bell.virtual]
[outputs.strike.virtual]
[doors.front]
name = "Front"
output = "strike"
[panels.main]
name = "Main"
line = "card"
doors = ["front"]
extension = "503"
[panels.main.buttons.bell]
name = "Bell"
input = "bell"
call = "all"
[lists.all]
targets = [{ to = "sip:phone@127.0.0.1:5090" }]
[lines.card.contact]
[lines.card.sound]
id = "Loopback"
"#;

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, args: &[&str], log: &Path) -> Running {
    let to = fs::File::create(log).expect("a log");
    let also = to.try_clone().expect("a log");
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(to)
        .stderr(also)
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    Running(child)
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A tone as a file.
fn tone(file: &Path, hz: u32, rate: u32, seconds: u32) {
    let samples = (0..rate * seconds).map(|n| {
        let at = std::f64::consts::TAU * f64::from(hz) * f64::from(n) / f64::from(rate);
        (at.sin() * 8000.0) as i16
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut all = vec![];
    let length = u32::try_from(data.len()).expect("short");
    all.extend(b"RIFF");
    all.extend((36 + length).to_le_bytes());
    all.extend(b"WAVEfmt ");
    for field in [16_u32.to_le_bytes(), 0x0001_0001_u32.to_le_bytes()] {
        all.extend(field);
    }
    all.extend(rate.to_le_bytes());
    all.extend((2 * rate).to_le_bytes());
    all.extend(0x0010_0002_u32.to_le_bytes());
    all.extend(b"data");
    all.extend(length.to_le_bytes());
    all.extend(data);
    fs::write(file, all).expect("a file");
}

/// Share of a second, 0 to 1, in which there is this tone and nothing else, looked at in pieces of 50 ms.
fn clear(samples: &[i16], hz: u32) -> f64 {
    let pieces = samples.chunks_exact(RATE as usize / 20);
    if samples.len() < RATE as usize {
        return 0.0;
    }
    let all = pieces.len();
    pieces.filter(|piece| is_tone(piece, hz)).count() as f64 / all as f64
}

/// Is nine tenths of the power at this frequency, and more than 40 dB below full scale?
fn is_tone(samples: &[i16], hz: u32) -> bool {
    let step = std::f64::consts::TAU * f64::from(hz) / f64::from(RATE);
    let (mut sine, mut cosine, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sample, at) = (f64::from(*sample), step * n as f64);
        sine += sample * at.sin();
        cosine += sample * at.cos();
        all += sample * sample;
    }
    let share = 2.0 * (sine * sine + cosine * cosine) / samples.len() as f64 / f64::max(all, 1.0);
    share > 0.9 && all / samples.len() as f64 > 327.0_f64.powi(2)
}

fn of_bytes(bytes: &[u8]) -> Vec<i16> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| i16::from_le_bytes(*b))
        .collect()
}

/// The house: a gateway, a phone, and what stands at the far end of the card.
struct House {
    dir: PathBuf,
    gateway: Running,
    _phone: Running,
    visitor: Option<Running>,
}

impl House {
    fn start() -> Self {
        let dir = std::env::temp_dir().join("sound");
        fs::create_dir_all(dir.join("phone")).expect("a folder");
        fs::write(dir.join("site.toml"), SITE).expect("a file");
        tone(&dir.join("visitor.wav"), VISITOR, RATE, 300);
        tone(&dir.join("phone.wav"), PHONE, RATE, 300);
        let at = dir.display();
        // recordings come from sndfile: in this version aufile only plays
        let config = format!(
            "sip_listen 127.0.0.1:5090\nnet_interface 127.0.0.1\naudio_path /nonexistent\naudio_player aubridge,nothing\n\
             audio_source aufile,{at}/phone.wav\naudio_alert aubridge,alert\nausrc_srate 16000\nauplay_srate 16000\n\
             ausrc_channels 1\nauplay_channels 1\nausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
             snd_path {at}\nmodule_path /usr/lib/baresip/modules\nmodule g722.so\nmodule sndfile.so\nmodule aufile.so\n\
             module aubridge.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{STEER}\n",
        );
        fs::write(dir.join("phone/config"), config).expect("a file");
        fs::write(
            dir.join("phone/accounts"),
            "<sip:phone@127.0.0.1:5090;transport=udp>;regint=0;answermode=auto;audio_codecs=g722/16000;ptime=20\n",
        )
        .expect("a file");
        fs::write(dir.join("phone/contacts"), "").expect("a file");
        let folder = dir.join("phone");
        let phone = start(
            "/extra/baresip",
            &["-f", &folder.to_string_lossy()],
            &dir.join("phone.log"),
        );
        let site = dir.join("site.toml");
        let gateway = start(
            "/extra/doorline",
            &["run", "--config", &site.to_string_lossy()],
            &dir.join("gateway.log"),
        );
        let house = Self {
            dir,
            gateway,
            _phone: phone,
            visitor: None,
        };
        until("the phone can be steered", || {
            TcpStream::connect(("127.0.0.1", STEER)).is_ok()
        });
        until("the gateway is ready", || {
            let log = house.log();
            assert!(!log.contains("nothing was changed"), "{log}");
            log.contains("ready: every door can be opened")
        });
        house
    }

    fn sim(&self, args: &[&str]) -> Result<String, String> {
        let site = self.dir.join("site.toml");
        let mut all = vec!["sim", "--config", site.to_str().expect("a path")];
        all.extend(args);
        let done = Command::new("/extra/doorline")
            .args(&all)
            .output()
            .expect("doorline");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        if done.status.success() {
            Ok(said)
        } else {
            Err(said + &String::from_utf8_lossy(&done.stderr))
        }
    }

    /// Somebody speaks at the panel, from now on.
    fn speak(&mut self) {
        let file = self.dir.join("visitor.wav");
        let args = ["-q", "-D", "plughw:Loopback,1", &file.to_string_lossy()];
        self.visitor = Some(start("/extra/aplay", &args, &self.dir.join("aplay.log")));
    }

    /// What the newest recording of the phone has, in its last second.
    fn at_phone(&self) -> Vec<i16> {
        let files = fs::read_dir(&self.dir)
            .expect("a folder")
            .flatten()
            .map(|e| e.path());
        let newest = files
            .filter(|p| p.to_string_lossy().ends_with("dec.wav"))
            .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
        let all = newest.and_then(|p| fs::read(p).ok()).unwrap_or_default();
        let samples = of_bytes(all.get(44..).unwrap_or_default());
        samples[samples.len().saturating_sub(RATE as usize)..].to_vec()
    }

    /// What the panel's loudspeaker gets, for a second.
    fn at_panel(&self) -> Vec<i16> {
        let file = self.dir.join("panel.raw");
        let args = "-q -D plughw:Loopback,1 -t raw -f S16_LE -c 1 -d 2 -r".split(' ');
        let done = Command::new("/extra/arecord")
            .args(args)
            .arg(RATE.to_string())
            .arg(&file)
            .status();
        assert!(done.expect("arecord").success(), "arecord failed");
        let samples = of_bytes(&fs::read(&file).expect("a recording"));
        samples[samples.len().saturating_sub(RATE as usize)..].to_vec()
    }

    /// Waits until both sides hear each other, and says how well. A machine that is emulated has gaps in its sound, whoever
    /// plays it: most of it has to be there.
    fn both_hear(&self) -> String {
        let mut last = (0.0, 0.0);
        until("both sides hear each other", || {
            last = (clear(&self.at_phone(), VISITOR), clear(&self.at_panel(), PHONE));
            last.0 > 0.6 && last.1 > 0.6
        });
        let (phone, panel) = (last.0 * 100.0, last.1 * 100.0);
        format!(
            "of a second {phone:.0} % is the visitor's tone at the phone, {panel:.0} % the phone's at the panel"
        )
    }

    fn log(&self) -> String {
        let read = |name: &str| {
            let text = fs::read_to_string(self.dir.join(name)).unwrap_or_default();
            // the phone counts its bits on one line
            text.lines()
                .map(|line| line.chars().take(300).collect::<String>() + "\n")
                .collect::<String>()
        };
        format!("{}{}", read("gateway.log"), read("phone.log"))
    }
}

fn main() -> ExitCode {
    if std::env::args().any(|a| a == "--list") {
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("VM_RUN").is_none() || !Path::new(DRIVER).exists() {
        say("sound: ignored, since there is no snd-aloop here; tests/vm/sound runs it in a virtual machine");
        return ExitCode::SUCCESS;
    }
    let mut house = House::start();
    type Case = (&'static str, fn(&mut House) -> String);
    let cases: [Case; 4] = [
        ("a call goes through the card, both ways", call),
        (
            "a card that is unplugged and plugged in again goes on in the same call",
            unplugged,
        ),
        ("a gateway that stood still goes on", stood_still),
        ("the loop of a line is measured", looped),
    ];
    for (name, case) in cases {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut house)));
        match done {
            Ok(measured) => say(&format!("ok   {name}: {measured}")),
            Err(_) => {
                say(&format!("FAIL {name}\n{}", house.log()));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn call(house: &mut House) -> String {
    house.speak();
    house.sim(&["press", "main", "bell"]).expect("pressed");
    house.both_hear()
}

fn unplugged(house: &mut House) -> String {
    fs::write(format!("{DRIVER}/unbind"), DEVICE).expect("unplugged");
    until("the gateway says that its card is gone", || {
        house.log().contains("sound card Loopback,0")
    });
    fs::write(format!("{DRIVER}/bind"), DEVICE).expect("plugged in");
    until("the card is back", || Path::new("/proc/asound/Loopback").exists());
    house.speak();
    house.both_hear()
}

fn stood_still(house: &mut House) -> String {
    let signal = |name: &str| {
        let pid = house.gateway.0.id().to_string();
        let done = Command::new("/bin/kill").args([name, &pid]).status();
        assert!(done.expect("kill").success());
    };
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(1500));
    signal("-CONT");
    house.both_hear()
}

fn looped(house: &mut House) -> String {
    let _ = house.gateway.0.kill();
    let _ = house.gateway.0.wait();
    house.visitor = None;
    // what comes out of the loudspeaker goes into the microphone, half as loud
    let echo = "/extra/arecord -q -D plughw:Loopback,1 -t raw -f S16_LE -c 1 -r 16000 -B 40000 | \
                /extra/aplay -q -D plughw:Loopback,1 -t raw -f S16_LE -c 1 -r 16000 -B 40000";
    let _echo = start("/bin/sh", &["-c", echo], &house.dir.join("echo.log"));
    let test = || {
        let args = ["audio", "test", "--card", "Loopback,0", "--json"];
        let done = Command::new("/extra/doorline")
            .args(args)
            .output()
            .expect("doorline");
        (
            done.status.success(),
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr),
        )
    };
    let mut said = String::new();
    until("the loop is found", || {
        let (good, text) = test();
        said = text;
        good && !said.contains("\"delay_ms\":null")
    });
    said.trim().to_owned()
}
