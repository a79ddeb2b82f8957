//! The demo: a virtual site with an embedded broker and a phone that answers, played and watched.

mod observer;
mod phone;
mod story;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_virtual::Watch;
use anyhow::Context;
use gateway_config::{Loaded, SecretFiles};
use tempfile::TempDir;

use crate::cli::{Demo, exit};
use crate::demo::observer::Observer;
use crate::demo::phone::Phone;
use crate::demo::story::Teller;
use crate::run::{Gateway, daemon, relay_file};

/// The site that is played.
const SITE: &str = include_str!("../../../config/examples/demo.toml");

/// Plays the story; with `--once` that is all, else the page is served until a signal ends it.
pub(crate) async fn play(args: &Demo) -> anyhow::Result<u8> {
    let place = match &args.state {
        Some(dir) => Place::Kept(std::path::absolute(dir)?),
        None => Place::temporary()?,
    };
    let dir = place.path().to_owned();
    let (phone_port, sip_port) = free_udp()?;
    let loaded = site(args, &dir, phone_port, sip_port)?;
    let tell = Teller::new();
    tell.say(
        "site",
        &format!(
            "{}: one door, everything virtual, state in {}",
            loaded.config.site.name,
            dir.display()
        ),
    );
    let mut phone = Phone::start(phone_port)
        .await
        .context("the demo's phone cannot start")?;
    let gateway = Gateway::start(&dir.join("site.toml"), loaded, None, None).await?;
    if gateway.page_due().is_some() {
        // a gateway would go on without it, but a demonstration is there to be seen
        let why = gateway.faults().into_iter().find(|fault| fault.part == "page");
        let why = why.map_or_else(String::new, |fault| fault.text);
        gateway.stop().await;
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, why).into());
    }
    let broker = gateway
        .outside()
        .broker_port()
        .context("the demo's broker did not start")?;
    let observer = Observer::connect(broker).await?;
    tell.say(
        "gateway",
        &format!("runs, with a broker on 127.0.0.1:{broker} and a phone on 127.0.0.1:{phone_port}"),
    );
    gateway.ready().await?;
    tell.say("guard", "holds the relay");
    let mut watch = Watch::new(&relay_file(&gateway.config().site.run_dir));
    let told = story::play(&gateway, &mut phone, &observer, &mut watch, &tell).await;
    if let Err(error) = &told {
        tell.say("FAILED", &format!("{error:#}"));
        for fault in gateway.faults() {
            tell.say("fault", &format!("{}: {}", fault.part, fault.text));
        }
    }
    if args.once || told.is_err() {
        gateway.stop().await;
        told?;
        tell.say("demo", "every step was seen");
        return Ok(exit::OK);
    }
    serve(gateway, &mut phone, &tell, &dir).await?;
    Ok(exit::OK)
}

/// Serves the page and `doorline sim` until Ctrl-C.
async fn serve(gateway: Gateway, phone: &mut Phone, tell: &Teller, dir: &Path) -> anyhow::Result<()> {
    let file = dir.join("state/in-force.toml");
    if let Some(url) = gateway.outside().url() {
        tell.say("page", &url);
    }
    if let Some(code) = gateway.outside().setup_code() {
        tell.say("page", &format!("setup code for the first user: {code}"));
    }
    tell.say(
        "try",
        &format!("{} sim --config {} press main bell", program(), file.display()),
    );
    tell.say("try", "Ctrl-C ends it");
    let served = gateway.serve_control();
    let ended = daemon::ended()?;
    tokio::select! {
        end = served => end?,
        () = ended => {}
        () = phone.play_along(tell) => {}
    }
    gateway.stop().await;
    Ok(())
}

/// How this program is called from here: from a clone it is not in the PATH.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else {
        return "doorline".to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| exe.parent() == Some(&dir)) {
        return "doorline".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let near = exe.strip_prefix(&here).map(Path::to_owned);
    near.unwrap_or(exe).display().to_string()
}

/// Where the demo keeps its state.
enum Place {
    /// Named by the user, and left as it is.
    Kept(PathBuf),
    /// Ours alone, under a name that nobody can know before; goes when it is dropped, also after a failed start.
    Temporary(Option<TempDir>, PathBuf),
}

impl Place {
    fn temporary() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("doorline-demo-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("a temporary folder cannot be made; name one with --state")?;
        let path = dir.path().to_owned();
        Ok(Self::Temporary(Some(dir), path))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::Temporary(_, path) => path,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Temporary(dir, path) = self else { return };
        drop(dir.take());
        // after a failed start the guard ends by itself and may still have made a file meanwhile
        for _ in 0..20 {
            let _ = std::fs::remove_dir_all(&*path);
            if !path.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The demo's site with folders and ports of its own.
fn site(args: &Demo, dir: &Path, phone_port: u16, sip_port: u16) -> anyhow::Result<Loaded> {
    let folder = dir
        .to_str()
        .with_context(|| format!("{} is not UTF-8, as a path in a site file must be", dir.display()))?;
    // a JSON string without its quotes is a TOML one: a path may hold quotes and backslashes
    let folder = serde_json::Value::from(folder).to_string();
    let folder = &folder[1..folder.len() - 1];
    let text = SITE
        .replace("/tmp/doorline-demo", folder)
        .replace("127.0.0.1:5090", &format!("127.0.0.1:{phone_port}"))
        .replace("udp-port = 5070", &format!("udp-port = {sip_port}"))
        .replace("tcp-port = 5070", "tcp-port = 0")
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", page_port(args)?));
    Ok(gateway_config::parse(
        "demo.toml",
        dir,
        &text,
        SecretFiles::Needed,
    )?)
}

/// Two free ports; both are held while the second is found, so that they differ.
fn free_udp() -> anyhow::Result<(u16, u16)> {
    let (first, second) = (
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
    );
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

/// The port of the page: the one asked for; else 8080, or any free one if that is taken or nobody will look.
fn page_port(args: &Demo) -> anyhow::Result<u16> {
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    Ok(match args.port {
        Some(port) if port != 0 => port,
        None if !args.once && free(8080).is_ok() => 8080,
        // a site file names its port: the same one at each start
        Some(_) | None => free(0)?.local_addr()?.port(),
    })
}
