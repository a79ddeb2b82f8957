//! The real programs on a virtual site: what happens to a door when processes are killed, frozen, reloaded with
//! good and bad files, or started twice. Each test ends with a door that still opens.

mod board;
mod held;
mod house;
mod page;
mod reader;
mod relays;
mod site_file;
mod unread;

use std::time::Duration;

use board::Board;
use house::{Guard, House, STRIKE, children, free_port, rest};
use rustix::process::Signal;
use serde_json::json;

/// What a process may take to do something on a busy machine, beyond the time it should take.
const SLACK: Duration = Duration::from_millis(1500);

#[test]
fn a_reload_of_a_code_touches_neither_the_guard_nor_a_running_pulse() {
    let mut house = House::start();
    let guard = house.guard();
    let on = house.open_by_exit();
    house.rewrite("digits = \"9\"", "digits = \"8\"");
    house.reload("the new site file is in force");
    let off = house.rest();
    assert!(
        off - on >= STRIKE - Duration::from_millis(100),
        "{}",
        house.story()
    );
    assert_eq!(house.guard(), guard, "{}", house.story());
    assert_eq!(house.times_on(), 1, "{}", house.story());
}

#[test]
fn a_broken_file_changes_nothing_in_the_middle_of_a_pulse() {
    let mut house = House::start();
    let guard = house.guard();
    let on = house.open_by_exit();
    house.rewrite("[doors.front]", "[doors.front");
    house.reload("the site file was not taken, the old one stays in force");
    let off = house.rest();
    assert!(
        off - on >= STRIKE - Duration::from_millis(100),
        "{}",
        house.story()
    );
    assert_eq!(house.guard(), guard, "{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_changed_output_gets_its_new_guard_after_the_pulse_that_runs() {
    let mut house = House::start();
    let guard = house.guard();
    let on = house.open_by_exit();
    house.rewrite("max-on-ms = 10000", "max-on-ms = 9000");
    house.reload("the new site file is in force");
    let off = house.rest();
    assert!(
        off - on >= STRIKE - Duration::from_millis(100),
        "{}",
        house.story()
    );
    assert_ne!(house.guard(), guard, "{}", house.story());
    house.ready_again(2);
    assert_eq!(house.times_on(), 1, "{}", house.story());
    // the operator asked for it: it is told, and it is no fault
    let anew = "the relay guard ends and starts anew, since outputs changed";
    assert_eq!(house.times_said(anew), 1, "{}", house.story());
    assert_eq!(house.times_said("ERROR"), 0, "{}", house.story());
    house.open_by_exit();
    house.rest();
    // a guard that ends by itself is one
    house.signal_to(house.guard(), Signal::KILL);
    house.wait_for("the relay guard cannot be reached; doors stay shut", 1);
    house.ready_again(3);
}

#[test]
fn an_exit_pressed_while_a_reload_changes_other_inputs_opens() {
    let mut house = House::start();
    house.rewrite("strike-ms = 3000", "strike-ms = 1000");
    house.reload("the new site file is in force");
    for n in 0..8 {
        let reloads = house.times_said("the new site file is in force");
        house.rewrite(
            "[inputs.front-bell.virtual]",
            &format!("[inputs.front-bell.virtual]\n[inputs.other-{n}.virtual]"),
        );
        let mut control = house.connect();
        house.signal(Signal::HUP);
        // any moment within the reload will do: wherever the press falls, somebody wants to get out
        std::thread::sleep(Duration::from_millis(n * 7));
        control.send(&json!({ "act": "pulse", "input": "front-rex", "ms": 300 }));
        house.energised();
        house.rest();
        assert!(control.answer().contains("ok"), "{}", house.story());
        house.wait_for("the new site file is in force", reloads + 1);
    }
}

#[test]
fn an_exit_pressed_while_the_guard_starts_anew_opens_when_it_is_there() {
    let mut house = House::start();
    // it may take longer than the ordinary strike time on a busy machine
    house.rewrite("strike-ms = 3000", "strike-ms = 9000");
    house.reload("the new site file is in force");
    house.rewrite("max-on-ms = 10000", "max-on-ms = 9000");
    house.signal(Signal::HUP);
    house.wait_for("the relay guard ends and starts anew", 1);
    house.press_exit();
    house.energised();
    assert_eq!(house.times_on(), 1, "{}", house.story());
    house.rest();
}

#[test]
fn a_reload_that_waits_for_a_pulse_keeps_nobody_else_waiting() {
    const TAKEN: &str = "the new site file is in force";
    const WAITS: &str = "waits until no pulse runs";
    let mut house = House::start();
    house.rewrite("max-on-ms = 10000", "max-on-ms = 25000");
    house.rewrite("strike-ms = 3000", "strike-ms = 25000");
    house.reload(TAKEN);
    house.ready_again(2);
    house.open_by_exit();
    house.rewrite("max-on-ms = 25000", "max-on-ms = 24999");
    house.rewrite("strike-ms = 25000", "strike-ms = 24999");
    house.reload(WAITS);
    let mut control = house.connect();
    control.send(&json!({ "act": "input", "input": "front-bell", "active": false }));
    assert!(control.answer().contains("ok"), "{}", house.story());
    assert_eq!(house.times_said(TAKEN), 1, "{}", house.story());
    // a newer file moves no output: it is taken at once, and the one that waited never
    house.rewrite("max-on-ms = 24999", "max-on-ms = 25000");
    house.rewrite("strike-ms = 24999", "strike-ms = 25000");
    house.reload(TAKEN);
    // another one waits when the supervisor wants us to stop
    house.rewrite("max-on-ms = 25000", "max-on-ms = 24998");
    house.rewrite("strike-ms = 25000", "strike-ms = 24998");
    house.reload(WAITS);
    assert!(house.stop().success(), "{}", house.story());
    assert_eq!(house.times_said(TAKEN), 2, "{}", house.story());
    assert_eq!(house.times_on(), 1, "{}", house.story());
}

#[test]
fn the_file_before_one_that_was_taken_in_part_lets_everybody_out() {
    let mut house = House::start();
    let good = house.text();
    // The core takes it; SIP does not change its ports while it runs.
    let other_port = |line: &str| match line.strip_prefix("udp-port = ") {
        Some(_) => format!("udp-port = {}\n", free_port()),
        None => format!("{line}\n"),
    };
    house.replace(&good.lines().map(other_port).collect::<String>());
    house.reload("the site file was not taken as a whole");
    house.replace(&good);
    house.reload("the new site file is in force");
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_killed_gateway_lets_go_and_its_successor_opens_nothing_by_itself() {
    let mut house = House::start();
    let on = house.open_by_exit();
    house.signal(Signal::KILL);
    let off = house.rest();
    assert!(off - on < Duration::from_secs(1) + SLACK, "{}", house.story());
    house.start_again();
    assert_eq!(house.times_on(), 1, "{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_killed_guard_lets_go_and_the_next_one_starts_at_rest() {
    let mut house = House::start();
    let guard = house.guard();
    let on = house.open_by_exit();
    house.signal_to(guard, Signal::KILL);
    let off = house.rest();
    assert!(off - on < SLACK, "{}", house.story());
    house.wait_for("the relay guard is ready", 2);
    house.ready_again(2);
    assert_eq!(house.times_on(), 1, "a pulse does not go on\n{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn an_exit_that_meets_a_guard_standing_still_opens_with_the_next_one() {
    let mut house = House::start();
    house.rewrite("strike-ms = 3000", "strike-ms = 9000");
    house.reload("the new site file is in force");
    house.signal_to(house.guard(), Signal::STOP);
    house.open_by_exit();
    house.ready_again(2);
    house.rest();
    assert_eq!(house.times_on(), 1, "{}", house.story());
}

#[test]
fn an_exit_pressed_at_any_moment_of_a_reload_that_changes_outputs_has_its_time() {
    let mut house = House::start();
    house.rewrite("strike-ms = 3000", "strike-ms = 1000");
    house.reload("the new site file is in force");
    let mut before = 10_000;
    for n in 0..8 {
        let after = 9_000 + n;
        house.rewrite(&format!("max-on-ms = {before}"), &format!("max-on-ms = {after}"));
        before = after;
        let reloads = house.times_said("the new site file is in force");
        house.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(n * 9));
        house.press_exit();
        let mut cuts = 0;
        loop {
            let on = house.energised();
            if house.rest() - on >= Duration::from_millis(900) {
                break;
            }
            // the guard that ends may have taken it still; the next one takes it again
            cuts += 1;
            assert!(cuts <= 1, "{}", house.story());
        }
        house.wait_for("the new site file is in force", reloads + 1);
    }
}

#[test]
fn a_frozen_gateway_lets_go_and_forgets_what_was_pressed_meanwhile() {
    let mut house = House::start();
    let on = house.open_by_exit();
    let mut waiting = house.connect();
    house.signal(Signal::STOP);
    let off = house.rest();
    assert!(off - on < Duration::from_secs(1) + SLACK, "{}", house.story());
    waiting.send(&json!({ "act": "input", "input": "front-rex", "active": true }));
    waiting.send(&json!({ "act": "card", "reader": "front-reader", "card": "26:123,04567" }));
    std::thread::sleep(Duration::from_millis(600));
    house.signal(Signal::CONT);
    for _ in 0..2 {
        assert!(waiting.answer().contains("stood still"), "{}", house.story());
    }
    assert_eq!(house.times_on(), 1, "{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn both_frozen_the_sentinel_lets_go_and_nothing_opens_when_they_go_on() {
    let mut house = House::start();
    let guard = house.guard();
    let on = house.open_by_exit();
    house.signal(Signal::STOP);
    house.signal_to(guard, Signal::STOP);
    let off = house.rest();
    assert!(off - on < Duration::from_secs(1) + SLACK, "{}", house.story());
    house.signal(Signal::CONT);
    house.wait_for("the relay guard is ready", 2);
    house.ready_again(2);
    assert_eq!(house.times_on(), 1, "{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_second_gateway_on_the_same_folders_ends_and_harms_nobody() {
    let mut house = House::start();
    let on = house.open_by_exit();
    let second = house.second("site.toml");
    assert!(!second.success(), "{}", house.story());
    house.write("other.toml", &house.text().replace("/state\"", "/other-state\""));
    let with_other_state = house.second("other.toml");
    assert!(!with_other_state.success(), "{}", house.story());
    let off = house.rest();
    assert!(
        off - on >= STRIKE - Duration::from_millis(100),
        "{}",
        house.story()
    );
    house.open_by_exit();
    house.rest();
}

#[test]
fn an_emptied_run_folder_costs_a_guard_and_no_door() {
    let mut house = House::start();
    let guard = house.guard();
    let mut control = house.connect();
    std::fs::remove_dir_all(house.path("run")).expect("it was there");
    house.wait_for("the relay guard is ready", 2);
    assert_ne!(house.guard(), guard, "{}", house.story());
    house.ready_again(2);
    assert_eq!(children(house.pid()).len(), 1, "one guard\n{}", house.story());
    house.watch_anew();
    // A connection from before still reaches the devices, and so do new ones.
    control.send(&json!({ "act": "pulse", "input": "front-rex", "ms": 200 }));
    house.energised();
    house.rest();
    house.wait_for("the control socket was removed and is made again", 1);
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_lockdown_outlives_a_gateway_that_is_killed_and_keeps_nobody_in() {
    const REFUSED: &str = "lockdown: the whole site is locked down";
    let mut house = House::start();
    house.rewrite(
        "[inputs.front-bell.virtual]",
        "[inputs.front-bell.virtual]\n[inputs.panic.virtual]",
    );
    house.rewrite("id = \"hazards\"", "id = \"hazards\"\nlockdown-input = \"panic\"");
    house.reload("the new site file is in force");
    let told = |house: &House, text: &str, times: usize| {
        let end = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let journal = std::process::Command::new(env!("CARGO_BIN_EXE_doorline"))
                .args(["journal", "--state"])
                .arg(house.path("state"))
                .args(["tail", "-n", "200"])
                .output()
                .expect("it runs");
            if String::from_utf8_lossy(&journal.stdout).matches(text).count() >= times {
                return;
            }
            assert!(std::time::Instant::now() < end, "{text}\n{}", house.story());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let ask = |house: &House, request: serde_json::Value| {
        let mut control = house.connect();
        control.send(&request);
        assert!(control.answer().contains("ok"), "{}", house.story());
    };
    let card = || json!({ "act": "card", "reader": "front-reader", "card": "26:123,04567" });
    ask(
        &house,
        json!({ "act": "input", "input": "panic", "active": true }),
    );
    told(&house, "gateway.lockdown", 1);
    ask(
        &house,
        json!({ "act": "input", "input": "panic", "active": false }),
    );
    ask(&house, card());
    told(&house, REFUSED, 1);
    house.signal(Signal::KILL);
    house.start_again();
    ask(&house, card());
    told(&house, REFUSED, 2);
    assert_eq!(house.times_on(), 0, "{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn an_upgrade_under_a_running_gateway_costs_no_door() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = dir.path().join("doorline");
    // by a program of its own: what another test starts meanwhile would inherit the file while it is written, and then it is busy
    let copied = std::process::Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_doorline"))
        .arg(&program)
        .status();
    assert!(copied.expect("cp runs").success());
    let mut house = House::start_program(&program);
    std::fs::remove_file(&program).expect("it was there");
    let guard = house.guard();
    house.signal_to(guard, Signal::KILL);
    house.ready_again(2);
    let guard = house.guard();
    assert_eq!(children(guard).len(), 1, "its sentinel\n{}", house.story());
    house.open_by_exit();
    house.rest();
}

#[test]
fn the_supervisor_hears_when_the_doors_can_be_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notify");
    let listener = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
    listener
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("set");
    let house = House::start_told(&path);
    let mut heard = String::new();
    while !heard.contains("STATUS=every door can be opened") {
        let mut buffer = [0; 200];
        let n = listener
            .recv(&mut buffer)
            .unwrap_or_else(|e| panic!("{e}\n{}", house.story()));
        heard.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

#[test]
fn a_guard_that_read_another_file_energises_nothing_and_that_is_said_until_it_is_started_anew() {
    let (mut house, guard) = House::start_beside(|text| text.replace("front-strike", "old-strike"));
    house.wait_for("the relay guard runs with another site file", 1);
    // not only said: the door does not count as one that can be opened
    house.wait_for("not every door can be opened after 5 s", 1);
    house.wait_for("output front-strike is another wire or missing", 1);
    house.press_exit();
    house.wait_for("refused", 1);
    assert_eq!(house.times_on(), 0, "{}", house.story());
    drop(guard);
    let _guard = Guard::start(house.folder(), "site.toml");
    house.ready_again(2);
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_missing_board_costs_its_own_door_until_it_is_plugged_in() {
    let mut house = House::start_incomplete(|dir| {
        format!(
            "\n[outputs.back-strike]\nmax-on-ms = 5000\n\
             [outputs.back-strike.lcus1]\nport = \"{}/board\"\nchannel = 1\n\
             [doors.back]\nname = \"Back\"\nlock = \"strike\"\noutput = \"back-strike\"\n",
            dir.display()
        )
    });
    house.wait_for("not every door can be opened after 5 s", 1);
    house.open_by_exit();
    house.rest();
    assert_eq!(house.times_said("ready: every door can be opened"), 0);
    let board = Board::left_on();
    std::os::unix::fs::symlink(&board.port, house.path("board")).expect("linked");
    house.wait_for("ready: every door can be opened", 1);
    board.wait_off(1);
    assert!(house.stop().success(), "{}", house.story());
}

#[test]
fn the_last_act_of_a_unit_writes_a_board_to_rest_that_was_left_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let board = Board::left_on();
    let run = dir.path().display();
    let site = format!(
        "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"1 Example Street\"\n\
         state-dir = \"{run}/state\"\nrun-dir = \"{run}/run\"\n\
         [outputs.strike.lcus1]\nport = \"{}\"\nchannel = 3\n",
        board.port.display()
    );
    std::fs::write(dir.path().join("site.toml"), &site).expect("written");
    assert!(board.is_on(3));
    assert!(rest(dir.path(), "site.toml").success());
    board.wait_off(3);
    // somebody is at work on the file: the outputs are those of the text that was in force
    std::fs::create_dir(dir.path().join("state")).expect("made");
    std::fs::write(dir.path().join("state/in-force.toml"), &site).expect("written");
    std::fs::write(
        dir.path().join("site.toml"),
        site.replace("channel = 3", "channel = "),
    )
    .expect("written");
    board.switch_on(3);
    assert!(rest(dir.path(), "site.toml").success());
    board.wait_off(3);
}
