//! A relay that tells of the network: what it does when the gateway or its guard is gone.

use rustix::process::Signal;

use crate::house::House;

/// A lamp that tells of lost registrations. The house has no account, so that none is lost.
fn lamp(inverted: bool, delay_s: u64) -> String {
    format!(
        "\n[outputs.lamp.virtual]\n[relays.network]\noutput = \"lamp\"\ninverted = {inverted}\n\
         [relays.network.network-fault]\nof = [\"registration\"]\ndelay-s = {delay_s}\n"
    )
}

#[test]
fn inverted_it_is_energised_while_all_is_well_and_falls_when_the_gateway_is_killed() {
    let mut house = House::start_with(|_| lamp(true, 3));
    house.lit("lamp", true);
    house.open_by_exit();
    house.rest();
    house.signal(Signal::KILL);
    house.lit("lamp", false);
    house.start_again();
    house.lit("lamp", true);
    // its guard is killed: the sentinel or the kernel lets go, and the next guard learns it anew
    house.signal_to(house.guard(), Signal::KILL);
    house.lit("lamp", false);
    house.lit("lamp", true);
    house.press_until_open();
}

#[test]
fn energised_on_fault_it_tells_a_loss_and_a_gateway_that_is_dead_while_the_guard_lives() {
    let (mut house, _guard) = House::start_beside_with(&lamp(false, 8), str::to_owned);
    house.wait_for("ready: every door can be opened", 1);
    house.open_by_exit();
    house.rest();
    assert_eq!(house.times_lit("lamp"), 0, "{}", house.story());
    house.signal(Signal::KILL);
    house.lit("lamp", true);
    house.start_again();
    house.lit("lamp", false);
    house.open_by_exit();
    house.rest();
}
