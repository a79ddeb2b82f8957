//! HTTP interface: REST under `/api/v1`, live events, Prometheus metrics and the page.
//!
//! ```text
//! socket ─▶ limits ─▶ TLS ─▶ hyper (HTTP/1.1) ─▶ warp filter ─▶ route table ─▶ origin, login, scope ─▶ handler
//! ```
//! The accept loop is ours, because warp has no TLS and panics when a port is taken. One table
//! (`route.rs`) says for each path who may use it; the check stands before every handler, so that
//! a new handler cannot forget it. Nothing opens here: `open` is a command on the bus, and the answer is
//! what the core said after its record was durable.
//!
//! Left out: HTTP/2 (WebSocket needs HTTP/1.1, and what is not there cannot be attacked), proxies that end
//! TLS for somebody else (see [`HttpParams::origins`]). Driven by the binary with [`start`].

mod access;
mod admin;
mod app;
mod ask;
mod backup;
mod certificate;
mod config;
mod contact_list;
mod contacts;
mod controllers;
mod dated;
mod devices;
mod dispatch;
mod doors;
mod etag;
mod familiar;
#[doc(hidden)]
pub mod fuzz;
mod hooks;
mod journal;
mod limits;
mod live;
mod login;
mod metrics;
mod network;
mod objects;
mod once;
#[cfg(test)]
mod openapi;
mod origin;
mod page;
mod paging;
mod param;
mod params;
mod parse;
mod password;
mod people;
mod problem;
mod quota;
mod radius;
mod relays;
mod reports;
mod route;
mod rules;
mod schedules;
mod server;
mod session;
mod setup;
mod staff;
mod status;
mod story;
mod support;
mod tar;
mod throttle;
mod tls;
mod visible;
mod wire;

pub use contact_list::{ContactsImport, ContactsImported, ContactsRefused, contacts_table, import_contacts};
pub use etag::text_tag;
pub use hooks::{HookCall, HookFailed, HookToken, Hooks};
pub use params::{HttpError, HttpParams, Language, LiveName, NetworkNames, RadiusLogins, Tls, UserScope};
pub use people::{CONTACT, TOKEN, USER};
pub use server::{Certificates, HttpHandle, start};
pub use setup::{forget_users, note_users};
pub use support::bundle;
pub use tls::{CertificateFrom, Served, Shown as CertificateShown, check_tls};
