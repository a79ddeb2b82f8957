//! The log is not read, or its reader is gone: that is no reason for a door to stay open, or to stay shut.

use std::net::UdpSocket;
use std::time::Duration;

use rustix::process::Signal;

use crate::SLACK;
use crate::house::{House, children};

/// The longest lease, plus what the sentinel allows the guard.
const LEASES: Duration = Duration::from_millis(1500);

#[test]
fn a_gateway_killed_while_nobody_reads_the_log_lets_go() {
    let (mut house, reader) = House::start_read();
    let on = house.open_by_exit();
    let _stopped = reader.stand_still();
    house.signal(Signal::KILL);
    let off = house.rest();
    assert!(off - on < LEASES + 2 * SLACK, "{}", house.story());
}

#[test]
fn a_guard_frozen_while_nobody_reads_the_log_lets_go() {
    let (mut house, reader) = House::start_read();
    let guard = house.guard();
    let on = house.open_by_exit();
    let _stopped = reader.stand_still();
    house.signal_to(guard, Signal::STOP);
    let off = house.rest();
    assert!(off - on < LEASES + 2 * SLACK, "{}", house.story());
    // the next guard serves the door, also without a reader
    house.press_until_open();
    house.rest();
}

#[test]
fn a_reader_that_is_gone_takes_nothing_with_it() {
    let (mut house, reader) = House::start_read();
    reader.leave();
    // each of these is logged
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..3 {
        stranger
            .send_to(b"no SIP at all\r\n\r\n", ("127.0.0.1", house.sip_port()))
            .expect("sent");
    }
    let good = house.text();
    house.replace("no file");
    house.signal(Signal::HUP);
    house.replace(&good);
    house.signal(Signal::HUP);
    house.press_until_open();
    let guard = house.guard();
    house.signal_to(guard, Signal::STOP);
    house.rest();
    house.press_until_open();
    house.rest();
}

#[test]
fn a_guard_frozen_with_its_sentinel_is_ended_by_the_gateway_that_started_it() {
    let mut house = House::start();
    let guard = house.guard();
    let sentinel = children(guard)[0];
    house.signal_to(sentinel, Signal::STOP);
    house.open_by_exit();
    house.signal_to(guard, Signal::STOP);
    house.rest();
    house.signal_to(sentinel, Signal::KILL);
    house.ready_again(2);
    house.open_by_exit();
    house.rest();
}
