//! Every fuzz target of the workspace in one program; `DOORLINE_FUZZ` names the one that runs, `list` all of them.
//! Everything else, its arguments among them, is libFuzzer's. See `tests/fuzz/run`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Name and function of a target, as the crates have them.
type Target = (&'static str, fn(&[u8]));

/// The lists of the crates.
const LISTS: [&[Target]; 22] = [
    &adapter_dot1x::fuzz::TARGETS,
    &adapter_front_end::fuzz::TARGETS,
    &adapter_hid_relay::fuzz::TARGETS,
    &adapter_ibutton::fuzz::TARGETS,
    &adapter_modbus::fuzz::TARGETS,
    &adapter_osdp::fuzz::TARGETS,
    &adapter_outside::fuzz::TARGETS,
    &adapter_serial_relay::fuzz::TARGETS,
    &adapter_wiegand::fuzz::TARGETS,
    &firmware_images::fuzz::TARGETS,
    &gateway_backup::fuzz::TARGETS,
    &gateway_config::fuzz::TARGETS,
    &gateway_guard_proto::fuzz::TARGETS,
    &gateway_ldap::fuzz::TARGETS,
    &gateway_media::fuzz::TARGETS,
    &gateway_network::fuzz::TARGETS,
    &gateway_panel::fuzz::TARGETS,
    &gateway_people::fuzz::TARGETS,
    &gateway_radius::fuzz::TARGETS,
    &gateway_sip::fuzz::TARGETS,
    &gateway_store::fuzz::TARGETS,
    &gateway_trace::fuzz::TARGETS,
];

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

/// Finds the target, or ends the program.
fn choose() {
    let name = std::env::var("DOORLINE_FUZZ").unwrap_or_default();
    let all = || LISTS.iter().copied().flatten();
    if name == "list" {
        all().for_each(|(name, _)| println!("{name}"));
        std::process::exit(0);
    }
    let Some((_, target)) = all().find(|(known, _)| *known == name) else {
        eprintln!("DOORLINE_FUZZ={name}: no such target; DOORLINE_FUZZ=list names all");
        std::process::exit(2);
    };
    let _ = CHOSEN.set(*target);
    // Decoders of others are caught where they panic: that is no crash. What is not caught ends the process all the
    // same, in libfuzzer-sys.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("panic at {place}: {}", panic.payload_as_str().unwrap_or_default());
    }));
}

fuzz_target!(init: choose(), |data: &[u8]| -> () {
    if let Some(target) = CHOSEN.get() {
        target(data);
    }
});
