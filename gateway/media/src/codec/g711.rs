//! G.711 A-law and µ-law by tables (ITU-T G.711, 1988, tables 1 and 2).

use super::{CodecError, Decoder, Encoder};

static ALAW_DECODE: [i16; 256] = alaw_decode_table();
static ULAW_DECODE: [i16; 256] = ulaw_decode_table();
/// Index: the upper 12 bits of the sample, offset by 2048.
static ALAW_ENCODE: [u8; 4096] = alaw_encode_table();
/// Index: the upper 14 bits of the sample, offset by 8192.
static ULAW_ENCODE: [u8; 16384] = ulaw_encode_table();

const fn alaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let code = n as i32 ^ 0x55;
        let exponent = (code & 0x7f) >> 4;
        let mut value = code & 0x0f;
        if exponent > 0 {
            value += 16;
        }
        value = (value << 4) + 8;
        if exponent > 1 {
            value <<= exponent - 1;
        }
        table[n] = if code & 0x80 != 0 { value } else { -value } as i16;
        n += 1;
    }
    table
}

const fn ulaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let code = !(n as i32) & 0xff;
        let exponent = (code >> 4) & 7;
        let step = 8 << exponent;
        let value = (0x80 << exponent) + step * (code & 0x0f) + step / 2 - 132;
        table[n] = if code & 0x80 != 0 { -value } else { value } as i16;
        n += 1;
    }
    table
}

const fn alaw_encode_table() -> [u8; 4096] {
    let mut table = [0; 4096];
    let mut n = 0;
    while n < 4096 {
        let sample = n as i32 - 2048;
        let mut code = if sample < 0 { !sample } else { sample };
        if code > 15 {
            let mut exponent = 1;
            while code > 31 {
                code >>= 1;
                exponent += 1;
            }
            code = (code - 16) + (exponent << 4);
        }
        if sample >= 0 {
            code |= 0x80;
        }
        table[n] = (code ^ 0x55) as u8;
        n += 1;
    }
    table
}

const fn ulaw_encode_table() -> [u8; 16384] {
    let mut table = [0; 16384];
    let mut n = 0;
    while n < 16384 {
        let sample = n as i32 - 8192;
        let mut magnitude = if sample < 0 { !sample } else { sample } + 33;
        if magnitude > 0x1fff {
            magnitude = 0x1fff;
        }
        let mut segment = 1;
        let mut rest = magnitude >> 6;
        while rest != 0 {
            segment += 1;
            rest >>= 1;
        }
        let mut code = ((8 - segment) << 4) | (0x0f - ((magnitude >> segment) & 0x0f));
        if sample >= 0 {
            code |= 0x80;
        }
        table[n] = code as u8;
        n += 1;
    }
    table
}

/// One A-law byte.
#[must_use]
pub fn alaw(sample: i16) -> u8 {
    ALAW_ENCODE[usize::from((sample >> 4).wrapping_add(2048).cast_unsigned() & 0x0fff)]
}

/// One µ-law byte.
#[must_use]
pub fn ulaw(sample: i16) -> u8 {
    ULAW_ENCODE[usize::from((sample >> 2).wrapping_add(8192).cast_unsigned() & 0x3fff)]
}

/// The sample of an A-law byte.
#[must_use]
pub fn from_alaw(code: u8) -> i16 {
    ALAW_DECODE[usize::from(code)]
}

/// The sample of a µ-law byte.
#[must_use]
pub fn from_ulaw(code: u8) -> i16 {
    ULAW_DECODE[usize::from(code)]
}

/// The two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum G711 {
    /// A-law.
    A,
    /// µ-law.
    Mu,
}

impl Encoder for G711 {
    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        match self {
            Self::A => out.extend(samples.iter().map(|s| alaw(*s))),
            Self::Mu => out.extend(samples.iter().map(|s| ulaw(*s))),
        }
        Ok(())
    }
}

impl Decoder for G711 {
    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn samples_of(&self, payload: &[u8]) -> Option<usize> {
        Some(payload.len())
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let (samples, room) = (payload.len(), out.len());
        let Some(out) = out.get_mut(..samples) else {
            return Err(CodecError::Room {
                codec: "G.711",
                samples,
                room,
            });
        };
        let table = match self {
            Self::A => &ALAW_DECODE,
            Self::Mu => &ULAW_DECODE,
        };
        for (o, p) in out.iter_mut().zip(payload) {
            *o = table[usize::from(*p)];
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_recommendation() {
        // G.711 tables 1a to 2b: end points and first steps, scaled to 16 bits.
        for (sample, code) in [
            (0, 0xd5),
            (-1, 0x55),
            (32_767, 0xaa),
            (-32_768, 0x2a),
            (1_000, 0xfa),
        ] {
            assert_eq!(alaw(sample), code, "A-law of {sample}");
        }
        for (code, sample) in [
            (0xd5, 8),
            (0x55, -8),
            (0xaa, 32_256),
            (0x2a, -32_256),
            (0xfa, 1_008),
        ] {
            assert_eq!(from_alaw(code), sample, "A-law {code:#x}");
        }
        for (sample, code) in [
            (0, 0xff),
            (-5, 0x7e),
            (32_767, 0x80),
            (-32_768, 0x00),
            (1_000, 0xce),
        ] {
            assert_eq!(ulaw(sample), code, "µ-law of {sample}");
        }
        for (code, sample) in [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xce, 988)] {
            assert_eq!(from_ulaw(code), sample, "µ-law {code:#x}");
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=255u8 {
            assert_eq!(alaw(from_alaw(code)), code);
            // µ-law has two zeros; the encoder uses the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(ulaw(from_ulaw(code)), expected);
        }
    }

    #[test]
    fn the_error_stays_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let s = i32::from(sample);
            for back in [from_alaw(alaw(sample)), from_ulaw(ulaw(sample))] {
                let error = (i32::from(back) - s).abs();
                assert!(error <= 16 + s.abs() / 32, "{sample} came back as {back}");
            }
        }
    }
}
