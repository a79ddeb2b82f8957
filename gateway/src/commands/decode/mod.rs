//! `doorline decode` and `doorline encode`: the product's own decoders on what a scope or another tool shows.
//!
//! One module a kind of wire. Each says what it takes ([`Args`]), prints for people, and gives the same as
//! one JSON value.

mod abb;
mod bus;
mod clock_data;
mod ibutton;
mod input;
mod keypad;
mod learn;
mod modbus;
mod osdp;
mod panel;
mod relay;
mod scs;
mod wiegand;

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::exit;
use crate::commands::out;

/// What a kind of wire says: lines for people, and the same for programs.
struct Said {
    json: Value,
    text: String,
}

/// Arguments of `doorline decode`.
#[derive(Args, Debug)]
pub(crate) struct Decode {
    #[command(subcommand)]
    what: DecodeWhat,
    /// Print one JSON value.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DecodeWhat {
    /// Bytes or edges of ABB-Welcome, which is Busch-Welcome: telegrams.
    #[command(after_help = abb::DECODE_HELP)]
    Abb(abb::Decode),
    /// Bits or edges of a Clock & Data reader: the track.
    #[command(after_help = clock_data::DECODE_HELP)]
    ClockData(clock_data::Decode),
    /// Bytes or bits of a contact key: 1-Wire, Cyfral, Metakom.
    #[command(after_help = ibutton::DECODE_HELP)]
    Ibutton(ibutton::Decode),
    /// Bytes of a Modbus line or connection: what relay boards are told and answer.
    #[command(after_help = modbus::DECODE_HELP)]
    Modbus(modbus::Decode),
    /// Bytes of an OSDP line: packets and what they say.
    #[command(after_help = osdp::DECODE_HELP)]
    Osdp(osdp::Decode),
    /// Edges of a panel line: rings, and whom they are for.
    #[command(after_help = panel::DECODE_HELP)]
    Panel(panel::Decode),
    /// Bytes of a serial or USB relay board: LCUS-1, KMTronic, Numato, DCTTECH.
    #[command(after_help = relay::DECODE_HELP)]
    Relay(relay::Decode),
    /// Bytes or edges of BTicino SCS: telegrams.
    #[command(after_help = scs::DECODE_HELP)]
    Scs(scs::Decode),
    /// Bits or edges of Comelit Simplebus: frames and what they mean.
    #[command(after_help = bus::SIMPLEBUS_HELP)]
    Simplebus(bus::Decode),
    /// Frames, bits or edges of TCS:BUS, and what they mean.
    #[command(after_help = bus::TCS_HELP)]
    Tcs(bus::Decode),
    /// Bits or edges of a Wiegand reader: every format that fits.
    #[command(after_help = wiegand::DECODE_HELP)]
    Wiegand(wiegand::Decode),
    /// Bursts or edges of a keypad: the keys, and the codes that they make.
    #[command(after_help = keypad::DECODE_HELP)]
    Keypad(keypad::Decode),
    /// A card format from three cards whose printed numbers are known.
    #[command(after_help = learn::HELP)]
    Learn(learn::Learn),
}

/// Arguments of `doorline encode`.
#[derive(Args, Debug)]
pub(crate) struct Encode {
    #[command(subcommand)]
    what: EncodeWhat,
    /// Print one JSON value.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum EncodeWhat {
    /// A telegram of ABB-Welcome, or its edges.
    #[command(after_help = abb::ENCODE_HELP)]
    Abb(abb::Encode),
    /// The bits that a Clock & Data reader sends.
    #[command(after_help = clock_data::ENCODE_HELP)]
    ClockData(clock_data::Encode),
    /// The bytes or bits that a contact key sends.
    #[command(after_help = ibutton::ENCODE_HELP)]
    Ibutton(ibutton::Encode),
    /// What a Modbus relay board is told.
    #[command(after_help = modbus::ENCODE_HELP)]
    Modbus(modbus::Encode),
    /// A packet of OSDP in the clear.
    #[command(after_help = osdp::ENCODE_HELP)]
    Osdp(osdp::Encode),
    /// The edges that a panel line shows.
    #[command(after_help = panel::ENCODE_HELP)]
    Panel(panel::Encode),
    /// What a serial or USB relay board is told.
    #[command(after_help = relay::ENCODE_HELP)]
    Relay(relay::Encode),
    /// A telegram of BTicino SCS, or its edges.
    #[command(after_help = scs::ENCODE_HELP)]
    Scs(scs::Encode),
    /// The edges of a frame of Comelit Simplebus.
    Simplebus(bus::EncodeSimplebus),
    /// The edges of a frame of TCS:BUS.
    Tcs(bus::EncodeTcs),
    /// The bits that a reader sends for a card, and how the site file writes it.
    #[command(after_help = wiegand::ENCODE_HELP)]
    Wiegand(wiegand::Encode),
    /// The bursts that a keypad sends.
    #[command(after_help = keypad::ENCODE_HELP)]
    Keypad(keypad::Encode),
}

/// Decodes and prints.
pub(super) fn decode(args: &Decode) -> anyhow::Result<u8> {
    let said = match &args.what {
        DecodeWhat::Abb(args) => abb::decode(args),
        DecodeWhat::ClockData(args) => clock_data::decode(args),
        DecodeWhat::Ibutton(args) => ibutton::decode(args),
        DecodeWhat::Keypad(args) => keypad::decode(args),
        DecodeWhat::Learn(args) => learn::decode(args),
        DecodeWhat::Modbus(args) => modbus::decode(args),
        DecodeWhat::Osdp(args) => osdp::decode(args),
        DecodeWhat::Panel(args) => panel::decode(args),
        DecodeWhat::Relay(args) => relay::decode(args),
        DecodeWhat::Scs(args) => scs::decode(args),
        DecodeWhat::Simplebus(args) => bus::decode_simplebus(args),
        DecodeWhat::Tcs(args) => bus::decode_tcs(args),
        DecodeWhat::Wiegand(args) => wiegand::decode(args),
    };
    print(said?, args.json)
}

/// Encodes and prints.
pub(super) fn encode(args: &Encode) -> anyhow::Result<u8> {
    let said = match &args.what {
        EncodeWhat::Abb(args) => abb::encode(args),
        EncodeWhat::ClockData(args) => clock_data::encode(args),
        EncodeWhat::Ibutton(args) => ibutton::encode(args),
        EncodeWhat::Keypad(args) => keypad::encode(args),
        EncodeWhat::Modbus(args) => modbus::encode(args),
        EncodeWhat::Osdp(args) => osdp::encode(args),
        EncodeWhat::Panel(args) => panel::encode(args),
        EncodeWhat::Relay(args) => relay::encode(args),
        EncodeWhat::Scs(args) => scs::encode(args),
        EncodeWhat::Simplebus(args) => bus::encode_simplebus(args),
        EncodeWhat::Tcs(args) => bus::encode_tcs(args),
        EncodeWhat::Wiegand(args) => wiegand::encode(args),
    };
    print(said?, args.json)
}

/// The formats that fit cards, in words; cards as `decode learn` takes them.
///
/// # Errors
/// If a card is none, there are fewer than three, or no format fits.
pub(super) fn proposals(cards: &[String]) -> anyhow::Result<String> {
    let cards = cards.to_vec();
    Ok(learn::decode(&learn::Learn { cards })?.text)
}

/// The digits of bits as `BITS:HEX` takes them.
///
/// # Errors
/// If it is no text of bits.
pub(super) fn hex_of(bits: &str) -> anyhow::Result<String> {
    let digits = bits.len().div_ceil(4);
    let bits = format!("{bits:0>width$}", width = digits * 4);
    let nibbles = bits.as_bytes().chunks(4);
    nibbles
        .map(|four| {
            Ok(format!(
                "{:x}",
                u8::from_str_radix(std::str::from_utf8(four)?, 2)?
            ))
        })
        .collect()
}

fn print(said: Said, json: bool) -> anyhow::Result<u8> {
    let mut out = out();
    if json {
        writeln!(out, "{}", said.json)?;
    } else {
        write!(out, "{}", said.text)?;
    }
    Ok(exit::OK)
}
