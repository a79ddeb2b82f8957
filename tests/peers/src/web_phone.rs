//! A phone in Chromium: a page with JsSIP, registered at Asterisk over secure web sockets, its speech by WebRTC.
//! `tests/peers/web-phone` has put JsSIP into the folder `DOORLINE_WEB_PHONE`; the page's own script is
//! `jssip/phone.js`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::audio::{Sound, keep, key_tones, sweep};
use crate::browser::Browser;
use crate::handset::{Handset, Keys};
use crate::ports::Use;
use crate::rig::Rig;

/// What it speaks, Hz.
const VOICE: (f64, f64) = (2600.0, 500.0);

/// What a page with a telephone needs of a browser: sound that needs no click to be heard and no device to be made,
/// addresses as they are, also that of this machine, and a certificate of the test's authority.
const SWITCHES: &[&str] = &[
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--ignore-certificate-errors",
];

/// A page that is open and registered.
#[derive(Debug)]
pub struct WebPhone {
    browser: RefCell<Browser>,
    heard: PathBuf,
    voice: Sound,
}

impl WebPhone {
    /// Opens it, and waits until it has registered as a user of the PBX.
    ///
    /// # Errors
    /// If JsSIP or Chromium is not installed, or it does not register.
    pub fn start(rig: &Rig, user: &str) -> anyhow::Result<Self> {
        let key = "DOORLINE_WEB_PHONE";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let library = Path::new(&home).join("jssip.js");
        ensure!(library.exists(), "no {}", library.display());
        let page = rig.path("phone.html");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("jssip/phone.js");
        let load = |path: &Path| format!("<script src=\"file://{}\"></script>\n", path.display());
        let head = "<!DOCTYPE html><meta charset=\"utf-8\"><title>Phone</title>\n";
        std::fs::write(&page, [head, &load(&library), &load(&script)].concat())?;
        let mut browser = Browser::with_switches(rig, &format!("file://{}", page.display()), SWITCHES)?;
        browser.shows(
            "typeof phone === 'object' && typeof JsSIP === 'object'",
            Duration::from_secs(10),
        )?;
        let params = json!({
            "wss": format!("wss://127.0.0.1:{}/ws", rig.port(Use::PbxWss)),
            "user": user,
            "password": format!("secret-{user}"),
            "voice": [VOICE.0, VOICE.1],
        });
        browser.eval(&format!("phone.start({params})"))?;
        let phone = Self {
            browser: RefCell::new(browser),
            heard: rig.path("web-phone-hears.wav"),
            voice: sweep(&rig.path("web-phone-voice.wav"), VOICE.0, VOICE.1, 2)?,
        };
        phone.tells("registered", Duration::from_secs(15))?;
        Ok(phone)
    }

    fn tells(&self, event: &str, limit: Duration) -> anyhow::Result<()> {
        let mut browser = self.browser.borrow_mut();
        let seen = browser.shows(&format!("phone.events.includes({event:?})"), limit);
        seen.with_context(|| format!("{:?}", browser.eval("phone.events.join()")))
    }

    fn order(&self, script: &str) -> anyhow::Result<()> {
        self.browser.borrow_mut().eval(script).map(drop)
    }
}

impl Handset for WebPhone {
    fn dial(&mut self, to: &str) -> anyhow::Result<()> {
        self.order(&format!("phone.call({to:?})"))
    }

    fn rings(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.tells("incoming", limit)
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        self.order("phone.answer()")
    }

    fn talks(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.tells("established", limit)
    }

    fn key(&mut self, key: char, way: Keys) -> anyhow::Result<()> {
        match way {
            Keys::Events => self.order(&format!("phone.key('{key}', 'RFC2833')")),
            Keys::Info => self.order(&format!("phone.key('{key}', 'INFO')")),
            Keys::InBand => {
                let (low, high) = key_tones(key)?;
                self.order(&format!("phone.tones({low}, {high})"))
            }
        }
    }

    fn hang_up(&mut self) -> anyhow::Result<()> {
        self.order("phone.hangUp()")
    }

    fn recording(&self) -> anyhow::Result<Sound> {
        // all of it only once there is enough for anybody
        let heard = self
            .browser
            .borrow_mut()
            .eval("phone.heard.length > 4.2 * RATE ? phone.heard.slice(-4.2 * RATE) : null")?;
        let samples = heard.as_array().context("the page has heard too little yet")?;
        keep(&self.heard, samples.iter().filter_map(serde_json::Value::as_f64))
    }

    fn voice(&self) -> &Sound {
        &self.voice
    }
}
