//! Sound of 8 kHz: WAV files, G.711 A-law, and the two tones of a key.

use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, ensure};

/// Samples per second.
pub(crate) const RATE: u32 = 8000;
/// Samples of a packet: 20 ms.
pub(crate) const FRAME: usize = 160;

/// Reads a WAV of 16 bit, one channel and [`RATE`].
///
/// # Errors
/// If it is none.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<i16>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(
        bytes.len() > 44 && bytes[24..28] == RATE.to_le_bytes(),
        "{} is no WAV of {RATE} Hz",
        path.display()
    );
    let samples = bytes[44..].chunks_exact(2);
    Ok(samples.map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}

/// A WAV that is written as it is heard; its head names no length.
pub(crate) struct Recording(BufWriter<File>);

impl Recording {
    /// Begins a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let open = 0x7fff_ff00_u32.to_le_bytes();
        file.write_all(b"RIFF")?;
        file.write_all(&open)?;
        file.write_all(b"WAVEfmt ")?;
        file.write_all(&16_u32.to_le_bytes())?;
        file.write_all(&[1, 0, 1, 0])?;
        file.write_all(&RATE.to_le_bytes())?;
        file.write_all(&(2 * RATE).to_le_bytes())?;
        file.write_all(&[2, 0, 16, 0])?;
        file.write_all(b"data")?;
        file.write_all(&open)?;
        Ok(Self(file))
    }

    /// Appends what an A-law payload holds.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn append(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        for byte in payload {
            self.0.write_all(&from_a_law(*byte).to_le_bytes())?;
        }
        Ok(self.0.flush()?)
    }
}

/// A sample as A-law (ITU-T G.711): sign, three bits of segment, four of step, every other bit inverted.
pub(crate) fn to_a_law(sample: i16) -> u8 {
    let sign = if sample >= 0 { 0x80 } else { 0 };
    let size = if sample >= 0 { sample } else { !sample } >> 4;
    // of 11 bits, the place of the highest one names the segment
    let segment = (16 - size.leading_zeros()).saturating_sub(4);
    let step = size >> segment.saturating_sub(1) & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

/// The sample of an A-law byte, in the middle of its step.
pub(crate) fn from_a_law(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let (segment, step) = (u32::from(code >> 4 & 7), i32::from(code & 0x0f));
    let size = match segment {
        0 => step * 16 + 8,
        _ => (step * 16 + 264) << (segment - 1),
    };
    let size = i16::try_from(size).unwrap_or(i16::MAX);
    if code & 0x80 == 0 { -size } else { size }
}

/// The number of a key as RFC 4733 §3.2 counts them.
///
/// # Errors
/// If there is no such key.
pub(crate) fn number(key: char) -> anyhow::Result<u8> {
    let at = "0123456789*#ABCD"
        .find(key)
        .with_context(|| format!("no key {key}"))?;
    Ok(u8::try_from(at)?)
}

/// 200 ms of the two tones of a key (ITU-T Q.23), and 100 ms of silence.
///
/// # Errors
/// If there is no such key.
pub(crate) fn tones(key: char) -> anyhow::Result<Vec<i16>> {
    let at = "123A456B789C*0#D"
        .find(key)
        .with_context(|| format!("no key {key}"))?;
    let low = [697.0, 770.0, 852.0, 941.0][at / 4];
    let high = [1209.0, 1336.0, 1477.0, 1633.0][at % 4];
    let sample = |n: u32| {
        let turns = f64::from(n) / f64::from(RATE) * TAU;
        ((turns * low).sin() * 6000.0 + (turns * high).sin() * 6000.0) as i16
    };
    let mut samples: Vec<i16> = (0..RATE / 5).map(sample).collect();
    samples.resize(samples.len() + RATE as usize / 10, 0);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_a_law_byte_comes_back_as_itself() {
        for byte in 0..=255 {
            assert_eq!(to_a_law(from_a_law(byte)), byte, "{byte:#04x}");
        }
    }
}
