//! What goes wrong around the gateway: a clear message, no panic, and back to work without a restart where it can.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Process, Site, Use, run, until};

use crate::secs;
use crate::story::nine_opens;

/// No fault may end in a panic.
pub(crate) fn no_panic(gateway: &Gateway) -> anyhow::Result<()> {
    ensure!(
        !gateway.log().contains("panicked"),
        "the gateway panicked: {}",
        gateway.log()
    );
    Ok(())
}

/// The door works: a card opens it, and it shuts.
pub(crate) fn door_works(gateway: &mut Gateway) -> anyhow::Result<()> {
    gateway.card()?;
    gateway.energised(secs(3))?;
    gateway.released(secs(5))?;
    Ok(())
}

#[test]
fn a_wrong_password_is_tried_a_few_times_said_clearly_and_mended_by_a_reload() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let account = |password| {
            Some(Account {
                password,
                ..Account::default()
            })
        };
        let site = Site {
            account: account("wrong"),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let failed = gateway.event(0, "account.failed", secs(10), |_| true)?;
        let said = failed["detail"].as_str().unwrap_or_default().to_owned();
        rig.measured("what a wrong password is called", &said);
        ensure!(
            said.contains("password") || said.contains("401") || said.contains("403"),
            "unclear: {said}"
        );
        // a PBX that counts attempts must not lock the address out
        gateway.stays_at_rest(secs(20))?;
        let tries = pbx.log().matches("Authorization: Digest").count();
        rig.measured("attempts with the wrong password in 20 s", tries);
        ensure!((1..=4).contains(&tries), "{tries} attempts");
        door_works(&mut gateway)?;
        let before = gateway.last_seq();
        gateway.reload(
            &Site {
                account: account("secret-200"),
                ..site
            }
            .text(rig),
        )?;
        gateway.event(before, "account.registered", secs(15), |_| true)?;
        no_panic(&gateway)
    });
}

#[test]
fn a_pbx_that_goes_and_comes_back_is_found_again() {
    run(|rig| {
        let mut pbx = Asterisk::start(rig, PbxParams::default())?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        pbx.kill();
        let before = gateway.last_seq();
        gateway.ring()?;
        gateway.event(before, "panel.ring-ended", secs(60), |_| true)?;
        door_works(&mut gateway)?;
        gateway.event(before, "account.failed", secs(90), |_| true)?;
        pbx.again(rig)?;
        let before = gateway.last_seq();
        gateway.event(before, "account.registered", secs(120), |_| true)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(before, "call.answered", secs(5), |_| true)?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        no_panic(&gateway)
    });
}

#[test]
fn a_broken_site_file_changes_nothing_and_says_where_it_is_broken() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        let said = gateway.reload(&site.replace("strike-ms = 3000", "strike-ms = 3"))?;
        ensure!(
            said.contains("strike-ms") && said.contains("site.toml:"),
            "unclear: {said}"
        );
        gateway.event(0, "gateway.config-refused", secs(5), |_| true)?;
        door_works(&mut gateway)?;
        // the file is still broken: a restart takes the last one that was confirmed, and says so
        let began = gateway.log().len();
        gateway.process().kill();
        gateway.again(rig)?;
        let log = gateway.log();
        ensure!(
            log[began..].contains("strike-ms"),
            "the restart did not say what is wrong: {}",
            &log[began..]
        );
        door_works(&mut gateway)?;
        no_panic(&gateway)
    });
}

#[test]
fn a_taken_port_is_named_and_costs_no_door() {
    run(|rig| {
        let port = rig.port(Use::Sip);
        let taken = UdpSocket::bind(("127.0.0.1", port))?;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        let log = gateway.log();
        ensure!(
            log.contains(&format!(":{port}: the port is taken")),
            "the message does not name port {port}: {log}"
        );
        door_works(&mut gateway)?;
        drop(taken);
        gateway
            .process()
            .says("SIP listens as configured again", secs(10))?;
        door_works(&mut gateway)?;
        no_panic(&gateway)
    });
}

#[test]
fn a_second_instance_is_refused_and_the_first_goes_on() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        let file = rig.path("site.toml");
        let mut second = Process::start(
            rig,
            "second",
            &peers::program(),
            ["run".as_ref(), "--config".as_ref(), file.as_os_str()],
        )?;
        let status = second.wait(secs(10))?;
        ensure!(status.code() == Some(4), "exit status {status}: {}", second.log());
        rig.measured("what a second instance says", second.log().trim());
        gateway.stays_at_rest(secs(1))?;
        door_works(&mut gateway)?;
        no_panic(&gateway)
    });
}

#[test]
fn a_damaged_index_is_set_aside_and_made_anew() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        door_works(&mut gateway)?;
        gateway.stop()?;
        let before = gateway.events()?;
        let damaged = overwrite(&rig.path("state"), |name| {
            name == "db" || name.starts_with("snap") || name == "conf"
        })?;
        ensure!(damaged > 0, "no file of the index was found");
        gateway.again(rig)?;
        let after = gateway.events()?;
        ensure!(
            after[..before.len()] == before[..],
            "records are missing or changed"
        );
        gateway.stays_at_rest(secs(1))?;
        door_works(&mut gateway)?;
        gateway.verify()?;
        rig.measured(
            "what a damaged index is called",
            gateway
                .log()
                .lines()
                .filter(|l| l.contains("index"))
                .collect::<Vec<_>>()
                .join(" | "),
        );
        Ok(())
    });
}

#[test]
fn a_damaged_segment_is_reported_and_the_rest_is_kept() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        for _ in 0..3 {
            door_works(&mut gateway)?;
        }
        gateway.stop()?;
        let before = gateway.events()?;
        let segments = segment_files(&rig.path("state"))?;
        ensure!(!segments.is_empty(), "no segment of the events log was found");
        for segment in &segments {
            let mut bytes = std::fs::read(segment)?;
            let text = b"door.granted";
            let at = bytes.windows(text.len()).position(|w| w == text);
            if let Some(at) = at {
                bytes[at] ^= 0x20;
                std::fs::write(segment, bytes)?;
            }
        }
        let verdict = gateway.command("journal", &["verify"])?;
        ensure!(
            verdict.status.code() == Some(5),
            "verify did not see the damage: {verdict:?}"
        );
        let began = gateway.log().len();
        gateway.again(rig)?;
        let log = gateway.log();
        ensure!(
            log[began..].contains("damage"),
            "the start did not say so: {}",
            &log[began..]
        );
        let after = gateway.events()?;
        let kept = before.iter().filter(|e| after.contains(e)).count();
        rig.measured(
            "records kept beside one damaged one",
            format!("{kept} of {}", before.len()),
        );
        ensure!(
            kept + 3 >= before.len(),
            "only {kept} of {} records are left",
            before.len()
        );
        gateway.stays_at_rest(secs(1))?;
        door_works(&mut gateway)?;
        no_panic(&gateway)
    });
}

/// What `doorline sim` speaks with the gateway, without a process for each word.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(path: &std::path::Path) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path)?)))
    }

    fn line(&mut self, signal: &str) -> anyhow::Result<()> {
        let request = serde_json::json!({ "act": "line", "line": "riser", "signal": signal });
        self.0.get_mut().write_all(format!("{request}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        ensure!(answer.contains("ok"), "{answer}");
        Ok(())
    }
}

/// A small file system of its own, taken away in every exit path.
pub(crate) struct SmallDisk(pub(crate) std::path::PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: std::path::PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&at)?;
        let out = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(&at)
            .output()?;
        ensure!(
            out.status.success(),
            "mount: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // lazily: what is left of the gateway may still have a file open
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_full_disk_is_said_loses_nothing_acknowledged_and_ends_by_itself() {
    run(|rig| {
        let disk = SmallDisk::mount(rig.path("small"))?;
        let site = Site {
            state: Some(disk.0.join("state")),
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        door_works(&mut gateway)?;
        let durable = gateway.events()?;
        let ballast = disk.0.join("ballast");
        fill(&ballast)?;
        // space that the journal has set aside is used up first
        let mut control = Control::connect(&rig.path("run/control.sock"))?;
        let said = until(secs(90), "the fault to be said", || {
            for _ in 0..100 {
                control.line("busy")?;
                control.line("idle")?;
            }
            let log = gateway.log();
            Ok(log
                .lines()
                // the index's own complaint comes first and is not about records
                .find(|l| l.contains("No space left") && !l.contains("sled::"))
                .map(str::to_owned))
        })?;
        rig.measured("what a full disk is called", said);
        // doors do not wait for disks
        gateway.card()?;
        gateway.energised(secs(3))?;
        gateway.released(secs(5))?;
        std::fs::remove_file(&ballast)?;
        let before = gateway.last_seq();
        until(secs(30), "the journal to be written again", || {
            gateway.card()?;
            Ok((gateway.last_seq() > before).then_some(()))
        })?;
        let after = gateway.events()?;
        ensure!(
            durable.iter().all(|e| after.contains(e)),
            "an acknowledged record is gone"
        );
        no_panic(&gateway)?;
        gateway.stop()?;
        gateway.verify()?;
        drop(gateway);
        drop(disk);
        Ok(())
    });
}

pub(crate) fn fill(path: &std::path::Path) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path)?;
    let block = [0_u8; 4096];
    loop {
        match file.write(&block) {
            Ok(n) if n > 0 => {}
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

fn files(dir: &std::path::Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Writes nonsense into the middle of every file that fits; says how many.
fn overwrite(dir: &std::path::Path, fits: impl Fn(&str) -> bool) -> anyhow::Result<usize> {
    let mut done = 0;
    for path in files(dir)? {
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !fits(&name) {
            continue;
        }
        let mut bytes = std::fs::read(&path)?;
        bytes.iter_mut().skip(16).step_by(3).for_each(|b| *b = !*b);
        std::fs::write(&path, bytes)?;
        done += 1;
    }
    Ok(done)
}

fn segment_files(state: &std::path::Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    Ok(files(state)?
        .into_iter()
        .filter(|p| std::fs::read(p).is_ok_and(|b| b.windows(12).any(|w| w == b"door.granted")))
        .collect())
}
