use super::*;

#[test]
fn the_site_file_is_named_before_or_after_what_is_to_be_done() {
    let named = "/tmp/other.toml";
    for line in [
        "journal -c F tail -n 5",
        "journal tail -c F",
        "journal --state /tmp export --config F",
        "sim press main bell -c F",
        "sim watch -c F",
        "people list -c F",
        "access diff -c F new.toml",
        "network show -c F",
        "time show -c F",
        "dot1x confirm -c F",
        "osdp install street -c F",
        "osdp move street --address 3 -c F",
        "osdp firmware street f.bin -c F",
        "readers learn street -c F",
        "doctor -c F",
        "contacts export -c F",
        "controllers send lift 26:123,04567 -c F",
        "support bundle --out /tmp/x.tar -c F",
        "backup --out /tmp/x.backup -c F",
        "restore /tmp/x.backup -c F",
    ] {
        let words = ["doorline"].into_iter().chain(line.split(' '));
        let words = words.map(|word| if word == "F" { named } else { word });
        let parsed = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(format!("{parsed:?}").contains(named), "{line}: {parsed:?}");
    }
    let parsed = Cli::try_parse_from(["doorline", "journal", "verify"]).expect("parses");
    assert!(format!("{parsed:?}").contains("/etc/doorline/site.toml"));
}

#[test]
fn every_command_with_arguments_has_examples() {
    let mut command = <Cli as clap::CommandFactory>::command();
    command.build();
    for sub in command.get_subcommands() {
        let shows = sub
            .get_after_help()
            .is_some_and(|help| help.to_string().contains("Example"));
        let plain = matches!(sub.get_name(), "version" | "help");
        assert!(shows || plain, "{} has no example", sub.get_name());
    }
}

#[test]
fn the_unit_files_start_what_they_mean() {
    let units = [
        include_str!("../../systemd/doorline.service"),
        include_str!("../../guard/systemd/doorline-guard.service"),
    ];
    let helpers = [
        include_str!("../../systemd/doorline-factory.service"),
        include_str!("../../systemd/doorline-lldp.service"),
        include_str!("../../systemd/doorline-network.service"),
    ];
    for unit in helpers {
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let words = start.expect("a unit starts something").split_whitespace();
        assert!(Cli::try_parse_from(words).is_ok(), "{start:?}");
    }
    for unit in units {
        for key in ["ExecStart=", "ExecStopPost=-"] {
            let start = unit.lines().find_map(|line| line.strip_prefix(key));
            let words = start.expect("a unit starts something").split_whitespace();
            let parsed = Cli::try_parse_from(words);
            assert!(
                parsed.is_ok(),
                "{start:?}: {:?}",
                parsed.err().map(|e| e.to_string())
            );
        }
        // whoever was killed, and whatever killed it: a latching board is written to rest before the next start
        assert!(unit.contains(" relay-guard --rest "), "{unit}");
        // doors wait for no network, also not for one that takes its time at a start
        let order = unit.lines().filter(|line| line.starts_with(['A', 'R', 'W']));
        for line in order.filter(|line| line.contains("network")) {
            assert!(!line.contains(".target"), "{line}");
        }
    }
}
