//! Who manages the port, and what stands in the way of files of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::interfaces::{self, Files};
use super::{Manager, Settings, V4, glob, ifupdown, own_paths};

/// What can be seen of the machine: its files below `root`, and what runs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `/`, or a folder that stands for it.
    pub root: PathBuf,
    /// Names of the programs that run, as the kernel has them: at most 15 bytes.
    pub running: BTreeSet<String>,
}

/// Something that stands in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What to do.
    pub remedy: String,
    /// What was found.
    pub text: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.remedy)
    }
}

fn obstacle(text: impl Into<String>, remedy: impl Into<String>) -> Obstacle {
    Obstacle {
        remedy: remedy.into(),
        text: text.into(),
    }
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let mut running = BTreeSet::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let number = entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit());
            if number && let Ok(name) = fs::read_to_string(entry.path().join("comm")) {
                running.insert(name.trim_end().to_owned());
            }
        }
        Self {
            root: "/".into(),
            running,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    /// A file, and nothing that a read could wait for.
    pub(super) fn is_file(&self, path: &str) -> bool {
        self.at(path).is_file()
    }

    pub(super) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    fn runs(&self, name: &str) -> bool {
        self.running.contains(name)
    }

    fn program(&self, name: &str) -> bool {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|dir| self.has(&format!("{dir}/{name}")))
    }

    /// Files of a folder, by name.
    pub(super) fn list(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(dir)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Decides which manager's files carry the settings. `wanted` is what the site file says, `None` for whichever is there.
///
/// # Errors
/// Everything that stands in the way.
pub fn decide(
    machine: &Machine,
    settings: &Settings,
    wanted: Option<Manager>,
) -> Result<Manager, Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    port(machine, settings, &mut obstacles);
    strangers(machine, settings, &mut obstacles);
    let networkd = machine.runs("systemd-network");
    let ifup = machine.program("ifup");
    let manager = match wanted {
        Some(manager) => manager,
        None if networkd => Manager::Networkd,
        None if ifup => Manager::Ifupdown,
        None => {
            obstacles.push(obstacle(
                "no network manager that is known here: neither does systemd-networkd run, nor is ifupdown installed",
                "systemctl enable --now systemd-networkd, or: apt-get install ifupdown",
            ));
            return Err(obstacles);
        }
    };
    foreign_networkd(machine, settings, manager, networkd, &mut obstacles);
    // left behind by a package that is gone they mean nothing
    let files = Files::of(machine);
    if ifup {
        foreign_ifupdown(machine, settings, &files, &mut obstacles);
    }
    match manager {
        Manager::Networkd if !networkd => obstacles.push(obstacle(
            "systemd-networkd does not run",
            "systemctl enable --now systemd-networkd, or set another manager under [network]",
        )),
        Manager::Ifupdown => ifupdown_can(machine, settings, (ifup, &files), &mut obstacles),
        Manager::Networkd => networkd_can(machine, settings, &mut obstacles),
    }
    if obstacles.is_empty() {
        Ok(manager)
    } else {
        Err(obstacles)
    }
}

fn port(machine: &Machine, settings: &Settings, obstacles: &mut Vec<Obstacle>) {
    let port = &settings.port;
    let dir = format!("/sys/class/net/{port}");
    if !machine.has(&dir) {
        let mut there = machine.list("/sys/class/net");
        there.retain(|name| name != "lo");
        obstacles.push(obstacle(
            format!("there is no port {port}"),
            format!("set port under [network] to one of: {}", there.join(", ")),
        ));
    } else if machine.has(&format!("{dir}/master")) {
        obstacles.push(obstacle(
            format!("{port} belongs to a bridge or bond"),
            "take it out of there, or configure that port by its own manager and remove [network]",
        ));
    }
}

/// Managers that are not driven.
fn strangers(machine: &Machine, settings: &Settings, obstacles: &mut Vec<Obstacle>) {
    let port = &settings.port;
    if machine.runs("NetworkManager") {
        let index = machine.text(&format!("/sys/class/net/{port}/ifindex"));
        let state = machine.text(&format!("/run/NetworkManager/devices/{}", index.trim()));
        if !state.lines().any(|line| line.trim() == "managed=false") {
            obstacles.push(obstacle(
                format!("NetworkManager manages {port}"),
                format!(
                    "nmcli device set {port} managed no, or change the address there and remove [network]"
                ),
            ));
        }
    }
    let master = machine.has("/run/dhcpcd/pid") || machine.has("/run/dhcpcd.pid");
    if machine.runs("dhcpcd") && master {
        let denied = machine.text("/etc/dhcpcd.conf");
        let denied = denied
            .lines()
            .filter_map(|line| line.trim().strip_prefix("denyinterfaces "));
        if !denied.flat_map(str::split_whitespace).any(|name| name == port) {
            obstacles.push(obstacle(
                format!("dhcpcd manages {port}"),
                format!("write  denyinterfaces {port}  into /etc/dhcpcd.conf and restart dhcpcd, or remove [network]"),
            ));
        }
    }
    let netplan = machine.list("/etc/netplan");
    if let Some(file) = netplan
        .iter()
        .find(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
    {
        obstacles.push(obstacle(
            format!("netplan manages the network (/etc/netplan/{file})"),
            "change the address there and remove [network], or remove netplan's files",
        ));
    }
    for (name, title) in [("connmand", "ConnMan"), ("wickedd", "wicked")] {
        if machine.runs(name) {
            obstacles.push(obstacle(
                format!("{title} manages the network"),
                "change the address there and remove [network], or stop it",
            ));
        }
    }
}

/// Files of networkd that are not ours and mean our port. A distribution's own, which come after ours, do not count.
fn foreign_networkd(
    machine: &Machine,
    settings: &Settings,
    manager: Manager,
    runs: bool,
    obstacles: &mut Vec<Obstacle>,
) {
    if manager == Manager::Ifupdown && !runs {
        return;
    }
    let dirs = [
        ("/etc/systemd/network", true),
        ("/run/systemd/network", true),
        ("/usr/local/lib/systemd/network", false),
        ("/usr/lib/systemd/network", false),
        ("/lib/systemd/network", false),
    ];
    for (dir, _) in dirs {
        for name in own_paths().iter().filter_map(|own| own.file_name()) {
            let folder = format!("{dir}/{}.d", name.to_string_lossy());
            let found = machine.list(&folder);
            if let Some(file) = found.iter().find(|name| name.ends_with(".conf")) {
                obstacles.push(obstacle(
                    format!("{folder}/{file} changes what Doorline's file says"),
                    "remove it and set what it sets under [network], or remove [network]",
                ));
            }
        }
    }
    // a name in an earlier folder hides the same name in a later one
    let mut files: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for (dir, local) in dirs {
        for name in machine.list(dir) {
            if name.ends_with(".network") {
                let path = format!("{dir}/{name}");
                files.entry(name).or_insert((path, local));
            }
        }
    }
    let first = own_paths()[0]
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut ports = vec![settings.port.clone(), settings.addressed()];
    ports.dedup();
    for (name, (path, local)) in files {
        let own = own_paths().iter().any(|own| *own == Path::new(&path));
        let counts = local || name < first;
        let means = |port: &String| matches(&machine.text(&path), port);
        if !own && counts && ports.iter().any(means) {
            obstacles.push(obstacle(
                format!("{path} also means {}", settings.port),
                "remove it or make its [Match] mean another port, or remove [network]",
            ));
        }
    }
}

/// May the `[Match]` section of a .network file mean the port? What is not understood may.
fn matches(text: &str, port: &str) -> bool {
    let mut section = "";
    let mut any = false;
    let mut named = true;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) || line.is_empty() {
            continue;
        }
        if line.starts_with('[') {
            section = line;
            continue;
        }
        any = true;
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match (section, key.trim()) {
            ("[Match]", "Name") => {
                let (inverted, value) = match value.trim().strip_prefix('!') {
                    Some(rest) => (true, rest),
                    None => (false, value.trim()),
                };
                let hit = value
                    .split_whitespace()
                    .any(|pattern| glob::matches(pattern, port));
                named &= hit != inverted;
            }
            // an Ethernet port is none of these
            ("[Match]", "Type") => {
                let other = ["wlan", "wwan", "loopback", "bridge", "bond", "none", "ppp"];
                named &= !value.split_whitespace().all(|kind| other.contains(&kind));
            }
            // the inner ends of containers and machines
            ("[Match]", "Kind") => named &= value.trim() == "vlan",
            _ => {}
        }
    }
    // an empty file masks another one
    any && named
}

/// Files of ifupdown that are not ours and name our port.
fn foreign_ifupdown(machine: &Machine, settings: &Settings, files: &Files, obstacles: &mut Vec<Obstacle>) {
    let ports = [settings.port.clone(), settings.addressed()];
    for (path, lines) in files.read.iter().filter(|(path, _)| path != ifupdown::FILE) {
        if interfaces::names(machine, lines, &ports) {
            obstacles.push(obstacle(
                format!("{path} also names {}", settings.port),
                "remove its lines about the port, or remove [network]",
            ));
        }
    }
    for (path, line) in &files.unclear {
        obstacles.push(obstacle(
            format!(
                "{path} reads files by a line that cannot be followed here, and they may name {}: {line}",
                settings.port
            ),
            "write the path there without a variable, a command or ~, or remove [network]",
        ));
    }
}

/// systemd-networkd keeps name and time servers of its files for others; nobody is served by it alone.
fn networkd_can(machine: &Machine, settings: &Settings, obstacles: &mut Vec<Obstacle>) {
    if !settings.dns.is_empty() && !is_asked(machine, settings) {
        let remedy = "apt-get install systemd-resolved, or systemctl enable --now systemd-resolved; or remove dns under \
                      [network] and write /etc/resolv.conf";
        if !machine.runs("systemd-resolve") {
            obstacles.push(obstacle(
                "nothing here takes name servers from systemd-networkd: systemd-resolved does not run",
                remedy,
            ));
        } else if !asks_resolved(machine) {
            obstacles.push(obstacle(
                "programs of this machine do not ask systemd-resolved, which has the name servers of systemd-networkd: \
                 /etc/resolv.conf is a file of its own",
                "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf, or remove dns under [network]",
            ));
        }
    }
    if !settings.ntp.is_empty() && !machine.runs("systemd-timesyn") {
        obstacles.push(obstacle(
            "nothing here takes time servers from systemd-networkd: systemd-timesyncd does not run",
            "apt-get install systemd-timesyncd, or systemctl enable --now systemd-timesyncd; or remove ntp under [network] \
             and name them in /etc/chrony/chrony.conf",
        ));
    }
}

/// The resolver's file (`resolv.conf(5)`).
const RESOLVER: &str = "/etc/resolv.conf";

/// Who is asked by every program that reads [`RESOLVER`].
fn name_servers(machine: &Machine) -> Vec<IpAddr> {
    let text = machine.text(RESOLVER);
    let named = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    named.filter_map(|rest| rest.trim().parse().ok()).collect()
}

/// Are all name servers of the settings asked without anybody's help?
fn is_asked(machine: &Machine, settings: &Settings) -> bool {
    let asked = name_servers(machine);
    settings.dns.iter().all(|server| asked.contains(server))
}

/// Does the resolver's file lead to systemd-resolved? It listens at two addresses of this machine, and keeps a file with
/// the name servers themselves (`systemd-resolved.service(8)`).
fn asks_resolved(machine: &Machine) -> bool {
    let link = fs::read_link(machine.at(RESOLVER)).unwrap_or_default();
    let stubs = [IpAddr::from([127, 0, 0, 53]), IpAddr::from([127, 0, 0, 54])];
    link.to_string_lossy().contains("run/systemd/resolve/")
        || name_servers(machine).iter().any(|server| stubs.contains(server))
}

fn ifupdown_can(
    machine: &Machine,
    settings: &Settings,
    (ifup, files): (bool, &Files),
    obstacles: &mut Vec<Obstacle>,
) {
    if !ifup {
        obstacles.push(obstacle("ifupdown is not installed", "apt-get install ifupdown"));
    }
    if !files.takes_ours {
        obstacles.push(obstacle(
            "/etc/network/interfaces does not read /etc/network/interfaces.d",
            "add the line  source /etc/network/interfaces.d/*",
        ));
    }
    let clients = ["dhclient", "dhcpcd", "udhcpc"];
    if settings.ipv4 == V4::Dhcp && !clients.iter().any(|name| machine.program(name)) {
        obstacles.push(obstacle(
            "ifupdown has no DHCP client here",
            "apt-get install isc-dhcp-client",
        ));
    }
    if !settings.dns.is_empty() && !machine.program("resolvconf") {
        obstacles.push(obstacle(
            "nothing here gives name servers of ifupdown to the machine",
            "apt-get install resolvconf, or remove dns under [network] and write /etc/resolv.conf",
        ));
    }
    if !settings.ntp.is_empty() {
        obstacles.push(obstacle(
            "ifupdown knows no time servers",
            "remove ntp under [network] and name them in /etc/systemd/timesyncd.conf or /etc/chrony/chrony.conf",
        ));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{dynamic, fixed};
    use super::*;

    /// A machine with port eth0 and files of given texts.
    pub(in super::super) fn machine(
        running: &[&str],
        files: &[(&str, &str)],
    ) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        put("/sys/class/net/eth0/ifindex", "2\n");
        put("/sys/class/net/lo/ifindex", "1\n");
        for (path, text) in files {
            put(path, text);
        }
        let machine = Machine {
            root: dir.path().to_owned(),
            running: running.iter().map(|name| (*name).to_owned()).collect(),
        };
        (dir, machine)
    }

    /// What is decided, or what stands in the way.
    fn decided(running: &[&str], files: &[(&str, &str)], settings: &Settings) -> Result<Manager, String> {
        // who takes the servers of networkd
        let running = [running, &["systemd-resolve", "systemd-timesyn"]].concat();
        let files = [files, &[("/etc/resolv.conf", "nameserver 127.0.0.53\n")]].concat();
        decided_bare(&running, &files, settings)
    }

    fn decided_bare(
        running: &[&str],
        files: &[(&str, &str)],
        settings: &Settings,
    ) -> Result<Manager, String> {
        let (_dir, machine) = machine(running, files);
        decide(&machine, settings, None).map_err(|obstacles| {
            let texts: Vec<String> = obstacles.into_iter().map(|o| o.text).collect();
            texts.join("; ")
        })
    }

    const SOURCE: (&str, &str) = ("/etc/network/interfaces", "source /etc/network/interfaces.d/*\n");
    const IFUP: (&str, &str) = ("/sbin/ifup", "");
    const CLIENT: (&str, &str) = ("/sbin/dhclient", "");

    #[test]
    fn networkd_is_taken_where_it_runs_and_ifupdown_where_it_is_installed() {
        assert_eq!(
            decided(&["systemd-network"], &[], &fixed()),
            Ok(Manager::Networkd)
        );
        assert_eq!(
            decided(&["systemd-network"], &[IFUP, SOURCE], &fixed()),
            Ok(Manager::Networkd)
        );
        assert_eq!(
            decided(&[], &[IFUP, SOURCE, CLIENT], &dynamic()),
            Ok(Manager::Ifupdown)
        );
        let nobody = decided(&[], &[], &fixed()).expect_err("nobody");
        assert!(nobody.starts_with("no network manager that is known"), "{nobody}");
    }

    #[test]
    fn other_managers_are_recognised_and_refused() {
        for (running, files, found) in [
            (vec!["NetworkManager"], vec![], "NetworkManager manages eth0"),
            (
                vec!["NetworkManager"],
                vec![("/run/NetworkManager/devices/2", "[device]\nmanaged=true\n")],
                "NetworkManager manages eth0",
            ),
            (
                vec!["dhcpcd"],
                vec![("/run/dhcpcd/pid", "7\n")],
                "dhcpcd manages eth0",
            ),
            (
                vec![],
                vec![("/etc/netplan/50-cloud-init.yaml", "network: {}\n")],
                "netplan manages the network (/etc/netplan/50-cloud-init.yaml)",
            ),
            (vec!["connmand"], vec![], "ConnMan manages the network"),
            (vec!["wickedd"], vec![], "wicked manages the network"),
            (
                vec![],
                vec![("/etc/systemd/network/50-static.network", "[Match]\nName=eth*\n")],
                "/etc/systemd/network/50-static.network also means eth0",
            ),
            (
                vec![],
                vec![("/run/systemd/network/10-netplan.network", "[Network]\nDHCP=yes\n")],
                "/run/systemd/network/10-netplan.network also means eth0",
            ),
            (
                vec![],
                vec![(
                    "/usr/lib/systemd/network/05-early.network",
                    "[Match]\nMACAddress=02:00:00:00:00:01\n",
                )],
                "/usr/lib/systemd/network/05-early.network also means eth0",
            ),
            (
                vec![],
                vec![
                    IFUP,
                    (
                        "/etc/network/interfaces",
                        "allow-hotplug eth0\niface eth0 inet dhcp\n",
                    ),
                ],
                "/etc/network/interfaces also names eth0",
            ),
            (
                vec![],
                vec![IFUP, ("/etc/network/interfaces.d/50-cloud", "auto lo eth0\n")],
                "/etc/network/interfaces.d/50-cloud also names eth0",
            ),
            (
                vec![],
                vec![IFUP, ("/etc/network/interfaces", "source $HOME/net\n")],
                "/etc/network/interfaces reads files by a line that cannot be followed here, and they may name eth0: \
                 source $HOME/net",
            ),
            (
                vec![],
                vec![("/sys/class/net/eth0/master/ifindex", "3\n")],
                "eth0 belongs to a bridge or bond",
            ),
        ] {
            let running = [vec!["systemd-network"], running].concat();
            assert_eq!(decided(&running, &files, &fixed()), Err(found.to_owned()));
        }
    }

    #[test]
    fn who_leaves_the_port_alone_is_no_obstacle() {
        for (running, files) in [
            (
                vec!["NetworkManager"],
                vec![("/run/NetworkManager/devices/2", "[device]\nmanaged=false\n")],
            ),
            (
                vec!["dhcpcd"],
                vec![
                    ("/run/dhcpcd/pid", "7\n"),
                    ("/etc/dhcpcd.conf", "denyinterfaces wlan0 eth0\n"),
                ],
            ),
            // a client that ifupdown started for one port
            (vec!["dhcpcd"], vec![("/run/dhcpcd/eth0.pid", "7\n")]),
            (
                vec![],
                vec![("/etc/network/interfaces", "iface eth0 inet dhcp\n")],
            ),
            (
                vec![],
                vec![("/etc/systemd/network/20-wifi.network", "[Match]\nName=wl*\n")],
            ),
            (
                vec![],
                vec![("/etc/systemd/network/20-wifi.network", "[Match]\nType=wlan\n")],
            ),
            (
                vec![],
                vec![(
                    "/etc/systemd/network/20-not.network",
                    "[Match]\nName=!eth0 eth1\n",
                )],
            ),
            (vec![], vec![("/etc/systemd/network/50-masked.network", "")]),
            (
                vec![],
                vec![(
                    "/usr/lib/systemd/network/89-ethernet.network",
                    "[Match]\nType=ether\n",
                )],
            ),
            (
                vec![],
                vec![(
                    "/etc/systemd/network/10-doorline-port.network",
                    "[Match]\nName=eth0\n",
                )],
            ),
            (
                vec![],
                vec![
                    IFUP,
                    (
                        "/etc/network/interfaces.d/doorline",
                        "auto eth0\niface eth0 inet dhcp\n",
                    ),
                ],
            ),
            (
                vec![],
                vec![
                    IFUP,
                    (
                        "/etc/network/interfaces",
                        "auto lo\niface lo inet loopback\n# iface eth0 inet dhcp\n",
                    ),
                ],
            ),
        ] {
            let running = [vec!["systemd-network"], running].concat();
            assert_eq!(
                decided(&running, &files, &fixed()),
                Ok(Manager::Networkd),
                "{files:?}"
            );
        }
    }

    #[test]
    fn what_ifupdown_lacks_is_said_all_at_once() {
        let found = decided(&[], &[IFUP], &dynamic()).expect_err("obstacles");
        assert_eq!(
            found,
            "/etc/network/interfaces does not read /etc/network/interfaces.d; ifupdown has no DHCP client here"
        );
        let found = decided(&[], &[IFUP, SOURCE], &fixed()).expect_err("obstacles");
        assert_eq!(
            found,
            "nothing here gives name servers of ifupdown to the machine; ifupdown knows no time servers"
        );
        let elsewhere = Settings {
            port: "eth7".into(),
            ..fixed()
        };
        let found = decided(&["systemd-network"], &[], &elsewhere).expect_err("obstacles");
        assert_eq!(found, "there is no port eth7");
    }
    #[test]
    fn a_folder_that_changes_our_file_is_refused_and_an_empty_one_is_none() {
        let folder = "/run/systemd/network/10-doorline-port.network.d";
        for (name, refused) in [("mtu.conf", true), ("mtu.conf.bak", false)] {
            let path = format!("{folder}/{name}");
            let found = decided(
                &["systemd-network"],
                &[(&path, "[Link]\nMTUBytes=1400\n")],
                &fixed(),
            );
            let said = format!("{folder}/{name} changes what Doorline's file says");
            assert_eq!(found, if refused { Err(said) } else { Ok(Manager::Networkd) });
        }
    }

    #[test]
    fn name_and_time_servers_that_nobody_takes_from_networkd_are_refused() {
        const NAMES: &str =
            "nothing here takes name servers from systemd-networkd: systemd-resolved does not run";
        const TIME: &str =
            "nothing here takes time servers from systemd-networkd: systemd-timesyncd does not run";
        let networkd = "systemd-network";
        let found = decided_bare(&[networkd], &[], &fixed()).expect_err("nobody takes them");
        assert_eq!(found, format!("{NAMES}; {TIME}"));
        let both = [networkd, "systemd-resolve", "systemd-timesyn"];
        let own = ("/etc/resolv.conf", "nameserver 203.0.113.1\n");
        let found = decided_bare(&both, &[own], &fixed()).expect_err("nobody asks it");
        assert!(
            found.starts_with("programs of this machine do not ask systemd-resolved"),
            "{found}"
        );
        // asked anyway
        let same = (
            "/etc/resolv.conf",
            "search lab.test\nnameserver 2001:db8::53\n nameserver\t192.0.2.53\n",
        );
        let timed = [networkd, "systemd-timesyn"];
        assert_eq!(decided_bare(&timed, &[same], &fixed()), Ok(Manager::Networkd));
        let stub = ("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n");
        assert_eq!(decided_bare(&both, &[stub], &fixed()), Ok(Manager::Networkd));
        // what a server gives is not ours to judge
        assert_eq!(decided_bare(&[networkd], &[], &dynamic()), Ok(Manager::Networkd));
        let (dir, machine) = machine(&both, &[]);
        std::os::unix::fs::symlink(
            "../run/systemd/resolve/stub-resolv.conf",
            dir.path().join("etc-link"),
        )
        .expect("made");
        fs::create_dir_all(dir.path().join("etc")).expect("made");
        fs::rename(dir.path().join("etc-link"), dir.path().join("etc/resolv.conf")).expect("moved");
        assert_eq!(decide(&machine, &fixed(), None), Ok(Manager::Networkd));
    }
}
