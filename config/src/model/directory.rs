//! `[directory]`: contacts from LDAP.

use std::path::PathBuf;

use gateway_core::{AccountId, Secret};
use gateway_ldap::Filter;

use crate::describe::table;
use crate::rules::{Path, parsed, password, refer, text, word};
use crate::value::{AttributeName, DirectoryRefresh, DirectoryTls, HostPort};

table! {
    /// Contacts from an LDAP directory: call lists can name them, and calls show their names. Nobody may open for
    /// standing in it. `docs/directory.md` says more.
    pub struct Directory {
        /// The server, HOST or HOST:PORT; without port 636, or 389 where TLS is not on from the start.
        server: HostPort = "server", parsed(), required, Restart;
        /// Protection of the connection.
        tls: DirectoryTls = "tls", word(), or("\"ldaps\""), Restart;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
        /// Whom the gateway logs in as; without it nobody (anonymous).
        bind_dn: Option<String> = "bind-dn", text(1, 250), optional, Restart;
        /// Password; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", password(), optional, Restart;
        /// File that holds the password in its first line. It must not be readable by other users. A relative
        /// path starts at the folder of this file.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// Entries below this are looked at.
        base: String = "base", text(1, 250), required, Restart;
        /// Which of them (RFC 4515).
        filter: Filter = "filter", parsed(), or("\"(telephoneNumber=*)\""), Restart;
        /// Attribute with the name.
        name_attribute: AttributeName = "name-attribute", parsed(), or("\"cn\""), Restart;
        /// Attribute with the number.
        number_attribute: AttributeName = "number-attribute", parsed(), or("\"telephoneNumber\""), Restart;
        /// Attribute with an IP address, at which an entry is called directly; without it nobody is.
        address_attribute: Option<AttributeName> = "address-attribute", parsed(), optional, Restart;
        /// When it is read again. What was read last is kept for as long as that fails.
        refresh: DirectoryRefresh = "refresh", word(), or("\"60 min\""), Restart;
        /// Account to call its entries through; without it the panel's.
        account: Option<AccountId> = "account", refer("account"), optional, Live;
    }
}
