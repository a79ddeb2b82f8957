//! The files of ifupdown as it reads them (interfaces(5)): from `/etc/network/interfaces` on whatever `source` and
//! `source-directory` name, and who is named in them.

use std::collections::BTreeSet;
use std::path::Path;

use super::owner::Machine;
use super::{glob, ifupdown};

/// Where ifupdown begins.
pub(super) const MAIN: &str = "/etc/network/interfaces";
/// Where files of packages and ours are.
const DIR: &str = "/etc/network/interfaces.d";
/// Files that are read, and places that a pattern may mean; beyond that nobody has written them by hand.
const MOST: usize = 1024;

/// What ifupdown reads.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Paths and their lines without comments, continued ones as one. Those of `interfaces.d` are among them in any case.
    pub(super) read: Vec<(String, Vec<String>)>,
    /// Would our file be read?
    pub(super) takes_ours: bool,
    /// Lines that mean files which cannot be found from here, with the path of theirs.
    pub(super) unclear: Vec<(String, String)>,
}

impl Files {
    /// Reads them.
    pub(super) fn of(machine: &Machine) -> Self {
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        let mut open = vec![MAIN.to_owned()];
        let listed = machine.list(DIR).into_iter().rev();
        // the line that reads them is what we ask for
        let listed = listed
            .filter(|name| !name.starts_with('.'))
            .map(|name| format!("{DIR}/{name}"));
        open.splice(0..0, listed);
        while let Some(path) = open.pop() {
            if seen.len() >= MOST || !seen.insert(path.clone()) || !machine.is_file(&path) {
                continue;
            }
            let lines = lines(&machine.text(&path));
            for line in &lines {
                let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                let named = match verb {
                    "source" => found.sources(machine, &path, rest, false),
                    "source-directory" => found.sources(machine, &path, rest, true),
                    _ => continue,
                };
                match named {
                    Some(named) => open.extend(named.into_iter().rev()),
                    None => found.unclear.push((path.clone(), line.clone())),
                }
            }
            found.read.push((path, lines));
        }
        found
    }

    /// Paths that a line names which stands in the file `from`; `None` if they depend on more than the files here.
    fn sources(&mut self, machine: &Machine, from: &str, rest: &str, folders: bool) -> Option<Vec<String>> {
        let dir = Path::new(from)
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        let mut named = Vec::new();
        for (n, word) in words(rest)?.into_iter().enumerate() {
            let places = if word.starts_with('/') {
                vec![word]
            } else if n == 0 {
                vec![format!("{dir}/{word}")]
            } else {
                // ifupdown takes only the first word as of the folder of its file, others as of where it was started
                vec![format!("{dir}/{word}"), format!("/{word}")]
            };
            for place in places {
                let found = expand(machine, &place);
                if folders {
                    self.takes_ours |= covers(&place, DIR);
                    for folder in found {
                        let names = machine
                            .list(&folder)
                            .into_iter()
                            .filter(|name| is_plain_name(name));
                        named.extend(names.map(|name| format!("{folder}/{name}")));
                    }
                } else {
                    self.takes_ours |= covers(&place, ifupdown::FILE);
                    named.extend(found);
                }
            }
        }
        Some(named)
    }
}

/// Is one of the ports named here as to be brought up, or said what it shall be, or taken into something else?
pub(super) fn names(machine: &Machine, lines: &[String], ports: &[String]) -> bool {
    lines.iter().any(|line| {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let is = |word: &str| ports.iter().any(|port| is_of(word, port));
        match verb {
            "iface" => words.next().is_some_and(is),
            // options of another one (bridge-utils-interfaces(5), vlan-interfaces(5), ifenslave): it takes the port as a
            // part of it. Both ways to write them are known, and `all` and `regex` may mean any
            _ if TAKERS.contains(&verb.replace('_', "-").as_str()) => {
                words.any(|word| is(word) || matches!(word, "all" | "regex"))
            }
            "mapping" => words.any(|word| ports.iter().any(|port| glob::matches(word, port))),
            "rename" => words.any(|word| ports.iter().any(|port| selects(machine, word, port))),
            _ if verb == "auto" || verb.starts_with("allow-") => {
                words.any(|word| ports.iter().any(|port| selects(machine, word, port)))
            }
            _ => false,
        }
    })
}

/// Options whose words are ports.
const TAKERS: [&str; 4] = ["bond-slaves", "bridge-ports", "slaves", "vlan-raw-device"];

/// Is it the port, another label of it (`eth0:1`), or a VLAN on it (`eth0.30`), which goes down with it?
fn is_of(word: &str, port: &str) -> bool {
    let Some(rest) = word.strip_prefix(port) else {
        return false;
    };
    let vlan = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let label = |rest: &str| rest.starts_with(':');
    match rest.strip_prefix('.') {
        Some(rest) => vlan(rest.split(':').next().unwrap_or(rest)),
        None => rest.is_empty() || label(rest),
    }
}

/// `[VARIABLE]/VALUE[/OPTIONS][=LOGICAL]`, or a name: does it mean the port? Which of several it means is left to
/// ifupdown: the port may be it.
fn selects(machine: &Machine, word: &str, port: &str) -> bool {
    let (physical, logical) = word.split_once('=').unwrap_or((word, ""));
    if is_of(physical, port) || is_of(logical, port) {
        return true;
    }
    let mut parts = physical.splitn(3, '/');
    let (Some(variable), Some(value)) = (parts.next(), parts.next()) else {
        return false;
    };
    match variable {
        "" => value != "dev" && glob::matches(value, port),
        "mac" => {
            let mac = machine.text(&format!("/sys/class/net/{port}/address"));
            glob::matches(&value.to_lowercase(), mac.trim())
        }
        file => {
            let held = machine.text(&format!("/sys/class/net/{port}/{file}"));
            glob::matches(value, held.trim())
        }
    }
}

/// Lines that say something, continued ones as one. A comment is not continued.
fn lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        let mut line = line.trim().to_owned();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        while line.ends_with('\\') {
            line.pop();
            line += rest.next().unwrap_or_default().trim_end();
        }
        found.push(line);
    }
    found
}

/// The words of a line as wordexp(3) has them, quoted letters escaped by a backslash; `None` if one holds what only a
/// shell knows.
fn words(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => found.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '$' | '`') => return None,
            (None, '~') if word.is_none() => return None,
            // wordexp refuses them, and the line means nothing
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}') => return Some(vec![]),
            (None, '\\') => word.get_or_insert_default().extend(['\\', letters.next()?]),
            (Some(_), c) => word.get_or_insert_default().extend(['\\', c]),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return None;
    }
    found.extend(word);
    Some(found)
}

/// The parts of a path between its slashes, as patterns. A quoted slash is a slash, and `..` takes the part before it.
fn parts(pattern: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in pattern.replace("\\/", "/").split('/') {
        match glob::plain(part).as_str() {
            "" | "." if !glob::is_pattern(part) => {}
            ".." if !glob::is_pattern(part) => {
                found.pop();
            }
            _ => found.push(part.to_owned()),
        }
    }
    found
}

/// What is there of what a pattern means, sorted.
fn expand(machine: &Machine, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in parts(pattern) {
        let mut next = Vec::new();
        for place in &found {
            if !glob::is_pattern(&part) {
                next.push(format!("{place}/{}", glob::plain(&part)));
                continue;
            }
            let names = machine
                .list(if place.is_empty() { "/" } else { place })
                .into_iter();
            // a dot that comes first has to be written
            let names = names.filter(|name| part.starts_with('.') || !name.starts_with('.'));
            let names = names.filter(|name| glob::matches(&part, name));
            next.extend(names.map(|name| format!("{place}/{name}")));
        }
        next.truncate(MOST);
        found = next;
    }
    found.retain(|path| machine.has(path));
    found
}

/// Does a pattern mean a path, whether that is there or not?
fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (parts(pattern), parts(path));
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(glob, name)| glob::matches(glob, name))
}

/// Names that `source-directory` reads.
fn is_plain_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !name.is_empty() && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::owner::tests::machine;
    use super::*;

    const NAMES: &str = "iface eth0 inet dhcp\n";

    /// Paths that are read besides `interfaces`, and whether ours would be, if that file has this line.
    fn read(line: &str) -> (Vec<String>, bool) {
        let files = [
            (MAIN, line),
            ("/etc/network/interfaces.d/doorline", ""),
            ("/etc/network/more/one", "source nested/*\n"),
            ("/etc/network/more/nested/two", NAMES),
            ("/etc/network/more/old.cfg", NAMES),
            ("/etc/network/more/.hidden", NAMES),
            ("/etc/network/more/with space", NAMES),
            ("/srv/net/three", "source three\nsource /etc/network/interfaces\n"),
        ];
        let (_dir, machine) = machine(&[], &files);
        let found = Files::of(&machine);
        assert_eq!(found.unclear, [], "{line}");
        let own = [MAIN, ifupdown::FILE];
        let paths = found.read.into_iter().map(|(path, _)| path);
        let paths = paths.filter(|path| !own.contains(&path.as_str()));
        (paths.collect(), found.takes_ours)
    }

    /// As ifupdown 0.8.41 reads them, tried with `ifquery`.
    #[test]
    fn files_are_found_whatever_pattern_names_them() {
        const ONE: &str = "/etc/network/more/one";
        const TWO: &str = "/etc/network/more/nested/two";
        const OLD: &str = "/etc/network/more/old.cfg";
        const SPACE: &str = "/etc/network/more/with space";
        for (line, found) in [
            ("source /etc/network/more/*", &[ONE, TWO, OLD, SPACE][..]),
            ("source more/*", &[ONE, TWO, OLD, SPACE]),
            ("  source   mo?e/o[a-n]e", &[ONE, TWO]),
            ("source more/[!o]*", &[SPACE]),
            ("source m*/*.cfg", &[OLD]),
            ("source more/one more/old.cfg", &[ONE, TWO, OLD]),
            (
                "source more/one \\\n  /srv/net/three",
                &[ONE, TWO, "/srv/net/three"],
            ),
            ("source more/with\\ space", &[SPACE]),
            ("source 'more/with space'", &[SPACE]),
            ("source \"more/with space\"", &[SPACE]),
            ("source 'more/*'", &[]),
            ("source ../network/./more//o*e", &[ONE, TWO]),
            ("source more/.h*", &["/etc/network/more/.hidden"]),
            ("source more", &[]),
            ("source more/{one,two}", &[]),
            ("source /s*/*/three", &["/srv/net/three"]),
            ("source-directory more", &[ONE, TWO]),
            ("source-directory /etc/net*/more/", &[ONE, TWO]),
            ("source-directory more /srv/net", &[ONE, TWO, "/srv/net/three"]),
            ("# source more/* \\\nsource /srv/net/*", &["/srv/net/three"]),
            ("auto source more/*", &[]),
        ] {
            let (mut paths, ours) = read(line);
            let mut found = found.to_vec();
            paths.sort();
            found.sort_unstable();
            assert_eq!(paths, found, "{line}");
            assert!(!ours, "{line}");
        }
    }

    #[test]
    fn ours_is_read_by_each_pattern_that_means_it() {
        for line in [
            "source /etc/network/interfaces.d/*",
            "source interfaces.d/*",
            "source interfaces.d/door*",
            "source interfaces.d/doorline",
            "source /etc/*/interfaces.?/[a-f]*",
            "source-directory interfaces.d",
            "source-directory /etc/network/interfaces.d/",
            "source more/* interfaces.d/*",
        ] {
            assert!(read(line).1, "{line}");
        }
        for line in [
            "source interfaces.d/*.cfg",
            "source interfaces.d",
            "source-directory more",
        ] {
            assert!(!read(line).1, "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_knows_is_unclear_and_not_left_out() {
        for line in [
            "source $DIR/*",
            "source ~/net",
            "source `ls`",
            "source \"$(ls)\"",
            "source 'torn",
        ] {
            let (_dir, machine) = machine(&[], &[(MAIN, line)]);
            let found = Files::of(&machine);
            assert_eq!(found.unclear, [(MAIN.to_owned(), line.to_owned())]);
        }
    }

    #[test]
    fn a_port_is_named_by_names_and_by_patterns() {
        let address = ("/sys/class/net/eth0/address", "02:00:00:00:00:0a\n");
        let (_dir, machine) = machine(&[], &[address, ("/sys/class/net/eth0/speed", "1000\n")]);
        let ports = ["eth0".to_owned(), "eth0.20".to_owned()];
        for (line, named) in [
            ("iface eth0 inet dhcp", true),
            ("iface eth0.20 inet dhcp", true),
            ("iface eth1 inet dhcp", false),
            ("auto lo eth0", true),
            ("auto lo", false),
            ("allow-hotplug eth0", true),
            ("auto /eth*", true),
            ("auto /eth*/1=lan", true),
            ("auto /en*", false),
            ("auto mac/02:00:00:00:00:0A", true),
            ("auto mac/02:00:00:00:00:0b", false),
            ("auto speed/1000", true),
            ("auto eth1=eth0", true),
            ("auto /dev/eth0", false),
            ("mapping eth*", true),
            ("mapping wl* en*", false),
            ("rename eth0=lan", true),
            ("rename mac/02:00:00:00:00:0a=lan", true),
            ("rename eth7=eth0", true),
            ("rename eth7=lan", false),
            ("address eth0", false),
            ("iface eth0:1 inet static", true),
            ("auto eth0:lan", true),
            ("allow-hotplug eth0:1", true),
            ("iface eth0.30 inet static", true),
            ("auto eth0.30:1", true),
            ("iface eth01 inet dhcp", false),
            ("iface eth0.x inet dhcp", false),
            ("iface veth0 inet dhcp", false),
            ("bridge_ports eth1 eth0", true),
            ("bridge-ports eth0.20", true),
            ("bridge_ports all", true),
            ("bridge_ports regex en.*", true),
            ("bridge_ports eth1", false),
            ("bridge_ports none", false),
            ("bridge_stp eth0", false),
            ("bond-slaves eth0 eth1", true),
            ("bond_slaves eth2", false),
            ("slaves eth0", true),
            ("vlan-raw-device eth0", true),
            ("vlan_raw_device eth0", true),
            ("vlan-raw-device eth1", false),
        ] {
            assert_eq!(names(&machine, &lines(line), &ports), named, "{line}");
        }
        assert!(names(&machine, &lines("iface \\\n eth0 inet dhcp"), &ports));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic_or_run_for_ever(line in "(source|auto|rename) [\\PC]{0,30}") {
            let (_dir, machine) = machine(&[], &[(MAIN, &line)]);
            let found = Files::of(&machine);
            let ports = ["eth0".to_owned()];
            let _ = found.read.iter().any(|(_, lines)| names(&machine, lines, &ports));
        }
    }
}
