//! A phone for the gauntlet whose SIP is `ezk-sip-ua`, which has no line in common with the gateway's. Its speech is
//! A-law and its encryption libsrtp's. It registers nowhere: it calls, and is called, by address.
//!
//! Usage: `rust-phone KEY=VALUE…` with the keys of [`params`]. It listens for orders on the port `control`, a line each,
//! and answers each with a line, `ok` or what went wrong: `dial URI`, `answer`, `event KEY`, `info KEY`, `tones KEY`,
//! `hang-up`. What happens is a line of its output: `incoming`, `established`, `closed`.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

mod phone;
mod sdp;
mod sound;
mod speech;
mod srtp;

use phone::{Params, Phone};
use speech::Key;

/// Longest time of an order.
const LIMIT: Duration = Duration::from_secs(15);

fn params(words: impl Iterator<Item = String>) -> anyhow::Result<(u16, Params)> {
    let mut all = HashMap::new();
    for word in words {
        let (key, value) = word.split_once('=').with_context(|| format!("what is {word}?"))?;
        all.insert(key.to_owned(), value.to_owned());
    }
    let mut take = |key: &str| all.remove(key).with_context(|| format!("no {key}"));
    let control = take("control")?.parse()?;
    let params = Params {
        carrier: take("carrier")?,
        heard: take("heard")?.into(),
        events: take("events")?.parse()?,
        rtp: take("rtp")?.parse()?,
        sip: take("sip")?.parse()?,
        srtp: take("srtp")?.parse()?,
        user: take("user")?,
        voice: take("voice")?.into(),
        trust: match take("ca") {
            Ok(ca) => Some([ca, take("cert")?, take("key")?].map(Into::into)),
            Err(_) => None,
        },
    };
    Ok((control, params))
}

async fn obey(phone: &mut Phone, order: &str) -> anyhow::Result<()> {
    let (verb, what) = order.split_once(' ').unwrap_or((order, ""));
    let key = || what.chars().next().context("which key?");
    match verb {
        "dial" => phone.dial(what).await,
        "answer" => phone.answer().await,
        "event" => phone.press(Key::Event(sound::number(key()?)?)),
        "info" => phone.info(key()?).await,
        "tones" => phone.press(Key::Tones(sound::tones(key()?)?)),
        "hang-up" => phone.hang_up().await,
        _ => bail!("what is {verb}?"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (control, params) = params(std::env::args().skip(1))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, control)).await?;
    let mut phone = Phone::start(params).await?;
    println!("ready");
    let (stream, _) = listener.accept().await?;
    let (read, mut write) = stream.into_split();
    let mut orders = BufReader::new(read).lines();
    loop {
        tokio::select! {
            order = orders.next_line() => {
                let Some(order) = order? else { return Ok(()) };
                let end = match timeout(LIMIT, obey(&mut phone, &order)).await {
                    Ok(Ok(())) => "ok".to_owned(),
                    Ok(Err(error)) => format!("{error:#}").replace('\n', " "),
                    Err(_) => format!("{order}: not done in {} s", LIMIT.as_secs()),
                };
                write.write_all(format!("{end}\n").as_bytes()).await?;
            }
            heard = phone.next() => phone.take(heard?).await?,
        }
    }
}
