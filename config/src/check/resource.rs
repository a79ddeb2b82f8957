//! Resources that several ask for: one claimant each, one family a port, and one opinion of all users.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use super::Check;
use crate::fault::FaultKind;

/// Claims of one kind: of each resource who asks for it.
pub(super) struct Claims<K> {
    of: BTreeMap<K, Vec<String>>,
}

impl<K: Ord> Claims<K> {
    pub(super) const fn new() -> Self {
        Self { of: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, resource: K, at: String) {
        self.of.entry(resource).or_default().push(at);
    }

    pub(super) fn has(&self, resource: &K) -> bool {
        self.of.contains_key(resource)
    }

    /// Reports each claimant but the first of the file.
    pub(super) fn report(self, check: &mut Check<'_>, name: impl Fn(&K) -> String, hint: &str) {
        for (resource, mut claimants) in self.of {
            claimants.sort_by_key(|at| (check.position(at), at.clone()));
            let Some((first, others)) = claimants.split_first() else {
                continue;
            };
            for other in others {
                let text = format!("{} is already claimed by {}", name(&resource), check.cite(first));
                check.fault(FaultKind::Duplicate, other, &[first], text, hint);
            }
        }
    }
}

/// What all users of a resource have to say alike: by resource and key, the first value and where it stands.
pub(super) struct Alike {
    first: BTreeMap<(String, String), (String, String)>,
    hint: &'static str,
}

impl Alike {
    pub(super) const fn new(hint: &'static str) -> Self {
        Self {
            first: BTreeMap::new(),
            hint,
        }
    }

    pub(super) fn add(&mut self, check: &mut Check<'_>, resource: &str, at: String, value: &impl Debug) {
        let key = at.rsplit('.').next().unwrap_or_default().to_owned();
        let value = format!("{value:?}");
        let (known, first) = self
            .first
            .entry((resource.to_owned(), key))
            .or_insert_with(|| (value.clone(), at.clone()));
        if *known != value {
            let text = format!("{value} differs from {known} of {}", check.cite(first));
            // a default has no place of its own: then the other one is shown
            let (at, other) = if check.is_written(&at) {
                (&at, &*first)
            } else {
                (&*first, &at)
            };
            check.fault(FaultKind::Conflict, at, &[other], text, self.hint);
        }
    }
}

/// Which family of devices has which port, and the key that says so first.
#[derive(Default)]
pub(super) struct Ports {
    families: BTreeMap<String, (&'static str, String)>,
    /// By what a place really is: how it was written first, and where.
    names: BTreeMap<String, (String, String)>,
}

impl Ports {
    /// A port belongs to one family of devices, and has one name: devices on it take turns by that name.
    pub(super) fn add(&mut self, check: &mut Check<'_>, place: String, family: &'static str, key: String) {
        let (name, first) = self
            .names
            .entry(one_name(&place))
            .or_insert_with(|| (place.clone(), key.clone()));
        if *name != place {
            let text = format!("{place} is {name} of {}", check.cite(first));
            let hint = "allowed: one name for one port or board";
            check.fault(FaultKind::Duplicate, &key, &[first.as_str()], text, hint);
        }
        let (first, port) = self
            .families
            .entry(place.clone())
            .or_insert_with(|| (family, key.clone()));
        if *first != family {
            let text = format!(
                "{place} is already claimed by {}, which is no {family}",
                check.cite(port)
            );
            let hint = "allowed: devices of one family on one port";
            check.fault(FaultKind::Duplicate, &key, &[port.as_str()], text, hint);
        }
    }
}

/// A device file behind its links, where it is on this machine; `HOST:PORT` in one spelling. Names of the DNS are not looked up.
fn one_name(place: &str) -> String {
    if place.starts_with('/') {
        let found = std::fs::canonicalize(place);
        return found.map_or_else(|_| place.to_owned(), |path| path.display().to_string());
    }
    let Some((host, port)) = place.rsplit_once(':') else {
        return place.to_owned();
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match (bare, bare.parse::<IpAddr>()) {
        (_, Ok(address)) => format!("{}:{port}", address.to_canonical()),
        ("localhost", Err(_)) => format!("127.0.0.1:{port}"),
        (_, Err(_)) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::one_name;

    #[test]
    fn a_place_has_one_name_however_it_is_written() {
        let alike = [
            &[
                "127.0.0.1:502",
                "localhost:502",
                "LocalHost.:502",
                "[::ffff:127.0.0.1]:502",
            ][..],
            &["[2001:db8::1]:502", "[2001:DB8:0:0::1]:502"],
            &["board.example:502", "Board.Example.:502"],
        ];
        for names in alike {
            for name in names {
                assert_eq!(one_name(name), one_name(names[0]), "{name}");
            }
        }
        assert_ne!(one_name("127.0.0.1:502"), one_name("127.0.0.1:503"));
        let dir = tempfile::tempdir().expect("a folder");
        let (port, link) = (dir.path().join("ttyUSB0"), dir.path().join("by-id"));
        std::fs::write(&port, "").expect("written");
        std::os::unix::fs::symlink(&port, &link).expect("linked");
        let text = |path: &std::path::Path| path.display().to_string();
        assert_eq!(one_name(&text(&link)), one_name(&text(&port)));
        assert_eq!(
            one_name("/dev/serial/by-id/not-plugged-in"),
            "/dev/serial/by-id/not-plugged-in"
        );
    }
}
