//! Resources that several ask for: one claimant each, one family a port, and one opinion of all users.

use std::collections::BTreeMap;
use std::fmt::Debug;

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

/// Which family of devices has which port, and the key that says so first.
#[derive(Default)]
pub(super) struct Ports(BTreeMap<String, (&'static str, String)>);

impl Ports {
    /// A port belongs to one family of devices.
    pub(super) fn add(&mut self, check: &mut Check<'_>, place: String, family: &'static str, key: String) {
        let (first, port) = self
            .0
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
