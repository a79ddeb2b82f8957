//! Speech through a codec, a network that loses packets, and the playout of the gateway, in virtual time.
//!
//! `lossy CODEC LOSS_PERCENT BURST SEED < speech.raw > heard.raw`: signed 16 bit samples at 16 kHz, mono. Packets of
//! 20 ms; `BURST` is the mean number of packets lost in a row (Gilbert model), 1 for random loss. `tests/voice/quality`
//! gives scores to what comes out.

use std::io::{Read, Write};
use std::time::Duration;

use adapter_api::FRAME_SAMPLES;
use anyhow::{Context, ensure};
use gateway_core::Instant;
use gateway_media::codec::{self, resample};
use gateway_media::jitter::Content;
use gateway_media::playout::{Decoders, Playout};
use gateway_media::{AudioCodec, OpusFormat};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Samples of a packet at 16 kHz.
const PACKET: usize = 2 * FRAME_SAMPLES;
const PAYLOAD_TYPE: u8 = 96;

/// Loses packets in bursts: two states, in one of which everything is lost.
struct Network {
    losing: bool,
    begin: f64,
    end: f64,
    rng: StdRng,
}

impl Network {
    fn new(loss: f64, burst: f64, seed: u64) -> Self {
        let end = 1.0 / burst;
        Self {
            losing: false,
            begin: end * loss / (1.0 - loss),
            end,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    fn loses(&mut self) -> bool {
        let turn = if self.losing { self.end } else { self.begin };
        self.losing ^= self.rng.random_bool(turn.clamp(0.0, 1.0));
        self.losing
    }
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let text = |n: usize| args.get(n).with_context(|| format!("argument {n} is missing"));
    let name = text(1)?;
    let codec = [
        AudioCodec::Opus,
        AudioCodec::G722,
        AudioCodec::Pcma,
        AudioCodec::Pcmu,
    ]
    .into_iter()
    .find(|c| c.name().eq_ignore_ascii_case(name))
    .with_context(|| format!("no codec {name}: allowed are opus, g722, pcma, pcmu"))?;
    let loss: f64 = text(2)?.parse()?;
    let burst: f64 = text(3)?.parse()?;
    ensure!(
        (0.0..=50.0).contains(&loss),
        "{loss} % of loss: allowed are 0 to 50"
    );
    ensure!(
        (1.0..=20.0).contains(&burst),
        "bursts of {burst}: allowed are 1 to 20"
    );
    let mut network = Network::new(loss / 100.0, burst, text(4)?.parse()?);
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let said: Vec<i16> = bytes
        .chunks_exact(2)
        .map(|b| i16::from_le_bytes([b[0], b[1]]))
        .collect();

    let format = OpusFormat {
        forward_error_correction: true,
        ..OpusFormat::default()
    };
    let mut encoder = codec::encoder(codec, &format)?;
    let mut down = resample::Down::default();
    let mut playout = Playout::new(Duration::from_millis(20), Duration::from_millis(200));
    playout.set_decoders(Decoders::new(&[(PAYLOAD_TYPE, codec)])?);
    let mut heard = Vec::with_capacity(bytes.len());
    let (mut sent, mut lost) = (0u32, 0u32);
    for (n, piece) in said.chunks_exact(PACKET).enumerate() {
        let now = Instant::ZERO + Duration::from_millis(20) * u32::try_from(n)?;
        let mut payload = Vec::new();
        if encoder.sample_rate() == 8_000 {
            let mut narrow = [[0; resample::NARROW]; 2];
            for (half, out) in piece.as_chunks::<FRAME_SAMPLES>().0.iter().zip(&mut narrow) {
                down.process(half, out);
            }
            encoder.encode(narrow.as_flattened(), &mut payload)?;
        } else {
            encoder.encode(piece, &mut payload)?;
        }
        sent += 1;
        if network.loses() {
            lost += 1;
        } else {
            let sequence = u16::try_from(n % 65_536)?;
            playout.insert(now, sequence, Content::Audio(PAYLOAD_TYPE), &payload);
        }
        for half in [0, 10] {
            let mut frame = [0; FRAME_SAMPLES];
            playout.play(now + Duration::from_millis(half), &mut frame);
            heard.extend(frame.iter().flat_map(|s| s.to_le_bytes()));
        }
    }
    std::io::stdout().write_all(&heard)?;
    writeln!(
        std::io::stderr(),
        "{lost} of {sent} packets lost, {} frames of 10 ms concealed",
        playout.concealed()
    )?;
    Ok(())
}
