//! No room on the disk: what is said, what goes on, and how soon it is over once there is room.

use std::time::Instant;

use anyhow::ensure;
use peers::{Gateway, Process, Site, run, until};
use rustix::process::Signal;

use crate::faults::{SmallDisk, door_works, fill, no_panic};
use crate::secs;

fn targets() -> Vec<String> {
    vec!["sip:101@127.0.0.1:9".into()]
}

#[test]
fn a_reload_on_a_full_disk_is_in_force_and_written_down_seconds_after_there_is_room() {
    run(|rig| {
        let disk = SmallDisk::mount(rig.path("small"))?;
        let state = disk.0.join("state");
        let site = |targets| Site {
            state: Some(state.clone()),
            targets,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site(targets()).text(rig))?;
        door_works(&mut gateway)?;
        let ballast = disk.0.join("ballast");
        fill(&ballast)?;
        let newer = site(vec!["sip:102@127.0.0.1:9".into()]).text(rig);
        let said = gateway.reload(&newer)?;
        ensure!(said.contains("is in force"), "{said}");
        let waits = "could not be written down as a good one";
        let line = said.lines().find(|line| line.contains(waits)).unwrap_or_default();
        rig.measured("what a reload on a full disk says", line);
        let remedy = format!("free some room on the disk of {}", state.display());
        ensure!(line.contains(&remedy), "{said}");
        // it is looked after meanwhile, and not said again and again
        gateway.stays_at_rest(secs(8))?;
        let told = gateway.log().matches(waits).count();
        ensure!(told == 1, "said {told} times: {}", gateway.log());
        std::fs::remove_file(&ballast)?;
        let began = Instant::now();
        let confirmed = || std::fs::read_to_string(state.join("generations/confirmed")).unwrap_or_default();
        until(secs(8), "the reload to be written down", || {
            Ok(confirmed().starts_with("2\n").then_some(()))
        })?;
        rig.measured(
            "room until a reload is written down",
            format!("{} ms", began.elapsed().as_millis()),
        );
        ensure!(std::fs::read_to_string(state.join("in-force.toml"))? == newer);
        gateway
            .process()
            .says("the configuration in force is written down", secs(5))?;
        door_works(&mut gateway)?;
        no_panic(&gateway)?;
        gateway.stop()?;
        drop(gateway);
        drop(disk);
        Ok(())
    });
}

#[test]
fn with_both_folders_full_a_first_start_says_what_to_do_and_a_later_one_lets_everybody_out() {
    run(|rig| {
        let disk = SmallDisk::mount(rig.path("small"))?;
        let text = Site {
            state: Some(disk.0.join("state")),
            targets: targets(),
            ..Site::default()
        }
        .text(rig);
        let run_dir = rig.path("run").display().to_string();
        let both = text.replace(&run_dir, &disk.0.join("run").display().to_string());
        ensure!(both != text, "the run folder is elsewhere: {text}");
        let file = rig.path("full.toml");
        std::fs::write(&file, &both)?;
        let ballast = disk.0.join("ballast");
        let start = |name: &str| {
            let args = ["run".as_ref(), "--config".as_ref(), file.as_os_str()];
            Process::start(rig, name, &peers::program(), args)
        };
        fill(&ballast)?;
        let mut first = start("first")?;
        let status = first.wait(secs(20))?;
        rig.measured("what a first start without room says", first.log().trim());
        ensure!(status.code() == Some(1), "exit status {status}: {}", first.log());
        let log = first.log();
        let remedy = format!(
            "there is no room on the disk of {}",
            disk.0.join("state").display()
        );
        ensure!(log.contains(&remedy) && log.contains("df -h"), "{log}");
        ensure!(!log.contains("panicked"), "{log}");
        drop(first);

        std::fs::remove_file(&ballast)?;
        let mut second = start("second")?;
        second.says("ready: every door can be opened", secs(20))?;
        second.signal(Signal::TERM)?;
        second.wait(secs(10))?;
        drop(second);

        fill(&ballast)?;
        let mut third = start("third")?;
        third.says("ready: every door can be opened", secs(20))?;
        let log = third.log();
        ensure!(!log.contains("panicked"), "{log}");
        std::fs::remove_file(&ballast)?;
        third.signal(Signal::TERM)?;
        let status = third.wait(secs(10))?;
        ensure!(status.success(), "exit status {status}: {}", third.log());
        drop(third);
        drop(disk);
        Ok(())
    });
}
