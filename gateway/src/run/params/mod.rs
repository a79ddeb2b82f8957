//! From the site file to the parameters of each part. Plain conversion: what can be wrong was found before.

mod guard;
mod outside;
mod sip;
mod site;

pub(crate) use guard::{guard, socket as guard_socket, wirings};
pub(crate) use outside::{http, mqtt, users_mark};
pub(crate) use sip::sip;
pub(crate) use site::{VIRTUAL_DEBOUNCE, site};
