//! The interface over sockets, with a fake core behind it.

mod certificate;
mod commands;
mod config;
mod edits;
mod fake_core;
mod live;
mod radius;
mod reports;
mod requests;
mod support;
mod tables;
