//! Parameters of the directory of contacts, and what it means to the core.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gateway_config::{Config, DirectoryRefresh, DirectoryTls};
use gateway_contacts::{Params, Refresh, Tls};
use gateway_core::{AccountId, DirectoryView};
use gateway_ldap::{Attributes, Query};
use gateway_site::{Contact, Contacts};

/// The directory, if the site has one.
pub(crate) fn directory(config: &Config) -> Option<Params> {
    let directory = config.directory.as_ref()?;
    let tls = match directory.tls {
        DirectoryTls::Ldaps => Tls::Ldaps,
        DirectoryTls::Off => Tls::Off,
        DirectoryTls::StartTls => Tls::StartTls,
    };
    let usual = if tls == Tls::Ldaps { 636 } else { 389 };
    let password = directory.password.clone().unwrap_or_default();
    Some(Params {
        ca_file: directory.ca_file.clone(),
        copy: config.site.state_dir.join("directory.json"),
        host: directory.server.host.to_string(),
        port: directory.server.port.unwrap_or(usual),
        query: Query {
            attributes: Attributes {
                address: directory
                    .address_attribute
                    .as_ref()
                    .map(|a| a.as_str().to_owned()),
                name: directory.name_attribute.as_str().to_owned(),
                number: directory.number_attribute.as_str().to_owned(),
            },
            base: directory.base.clone(),
            bind: directory.bind_dn.clone().map(|dn| (dn, password)),
            filter: directory.filter.clone(),
            start_tls: tls == Tls::StartTls,
        },
        refresh: match (directory.refresh, directory.refresh.every()) {
            (_, Some(time)) => Refresh::Every(time),
            (DirectoryRefresh::AfterCall, None) => Refresh::AfterCall,
            (_, None) => Refresh::Start,
        },
        tls,
    })
}

/// A contact that an administrator made: name, number, address.
pub(crate) type Made = (String, String, Option<IpAddr>);

/// Whom targets can name: contacts of the gateway, who are vouched for, before entries of the directory, who are not.
/// A name that stands twice in the directory means nobody.
pub(crate) fn contacts(config: &Config, directory: &DirectoryView, made: Vec<Made>) -> Contacts {
    let account = config.directory.as_ref().and_then(|d| d.account.clone());
    let mut all = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for entry in &directory.entries {
        let contact = contact(&entry.number, entry.address, account.clone(), false);
        if all.insert(entry.name.clone(), contact).is_some() {
            twice.insert(entry.name.clone());
        }
    }
    all.retain(|name, _| !twice.contains(name));
    for (name, number, address) in made {
        all.insert(name, contact(&number, address, account.clone(), true));
    }
    Contacts::new(all)
}

fn contact(number: &str, address: Option<IpAddr>, account: Option<AccountId>, vouched: bool) -> Contact {
    let direct = address.is_some();
    Contact {
        account: account.filter(|_| !direct),
        address: match address {
            Some(IpAddr::V4(v4)) => format!("sip:{number}@{v4}"),
            Some(IpAddr::V6(v6)) => format!("sip:{number}@[{v6}]"),
            None => number.to_owned(),
        },
        direct,
        vouched,
    }
}

/// Targets that nobody stands behind, in words.
pub(crate) fn unknown_targets(config: &Config, contacts: &Contacts) -> Option<String> {
    let mut unknown = BTreeSet::new();
    for (id, list) in &config.lists {
        let named = list.targets.iter().filter_map(|t| t.contact.as_ref());
        unknown.extend(
            named
                .filter(|name| !contacts.knows(name))
                .map(|name| format!("{name:?} of list {id}")),
        );
    }
    let all: Vec<String> = unknown.into_iter().collect();
    (!all.is_empty()).then(|| {
        format!(
            "nobody is called for {}: neither the contacts nor the directory have this name, or the directory has it \
             twice",
            all.join(", ")
        )
    })
}
