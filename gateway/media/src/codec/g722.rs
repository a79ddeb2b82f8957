//! G.722 at 64 kbit/s (ITU-T G.722, 09/2012): two sub-bands of ADPCM behind a quadrature mirror filter.
//!
//! Names follow the recommendation's blocks (§3.5, §3.6, §6.2). The lower band has 6 bits, the upper 2; a byte holds
//! two samples at 16 kHz. Modes 2 and 3, in which the lowest bits carry data, do not exist in RTP (RFC 3551 §4.5.2).

use super::CodecError;

/// Taps of the filter for every second sample, from the oldest (table 11); the other samples take them backwards.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
/// Samples that the filter looks at.
const SPAN: usize = 24;

/// Decision levels of the lower band's quantizer (table 14, Q6).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121,
    1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Outputs of the lower band's 4 bit inverse quantizer (QM4), which drives the predictor.
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584,
    1_200, 0,
];
/// Outputs of the lower band's 6 bit inverse quantizer (QM6), which is heard.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232,
    -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776,
    -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280,
    11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168,
    2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432, 136, -432, -136,
];
/// Outputs of the upper band's inverse quantizer (QM2).
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// Log scale factor multipliers of the lower band (WL) by the upper 4 bits of its code.
const WL: [i32; 16] = [
    -60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60,
];
/// Log scale factor multipliers of the upper band (WH) by its code.
const WH: [i32; 4] = [798, -214, 798, -214];
/// 2048 · 2^(n/32) (ILB).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774,
    2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838,
    3_922, 4_008,
];

/// Limits to 16 bits.
const fn sat(value: i32) -> i32 {
    if value > 32_767 {
        32_767
    } else if value < -32_768 {
        -32_768
    } else {
        value
    }
}

/// The adaptive predictor and quantizer scale of one sub-band.
#[derive(Clone, Debug)]
struct Band {
    /// Logarithmic scale factor, NABLA.
    nb: i32,
    /// Its largest value.
    nb_max: i32,
    /// Exponent of the linear scale factor.
    exponent: i32,
    /// Linear scale factor, DETL or DETH.
    det: i32,
    /// Estimate of the signal, and its zero section.
    s: i32,
    sz: i32,
    /// Pole section: coefficients, reconstructed and partially reconstructed signals.
    a: [i32; 2],
    r: [i32; 2],
    p: [i32; 2],
    /// Zero section: coefficients and differences.
    b: [i32; 6],
    d: [i32; 6],
}

impl Band {
    /// As the recommendation resets it (table 12): the scale factor is the smallest there is.
    fn new(nb_max: i32, exponent: i32) -> Self {
        let mut band = Self {
            nb: 0,
            nb_max,
            exponent,
            det: 0,
            s: 0,
            sz: 0,
            a: [0; 2],
            r: [0; 2],
            p: [0; 2],
            b: [0; 6],
            d: [0; 6],
        };
        band.scale(0);
        band
    }

    /// LOGSCL and SCALEL, or LOGSCH and SCALEH.
    fn scale(&mut self, multiplier: i32) {
        self.nb = (((self.nb * 127) >> 7) + multiplier).clamp(0, self.nb_max);
        let mantissa = ILB[((self.nb >> 6) & 31) as usize];
        let shift = self.exponent - (self.nb >> 11);
        let det = if shift < 0 {
            mantissa << -shift
        } else {
            mantissa >> shift
        };
        self.det = det << 2;
    }

    /// Blocks 4L and 4H: reconstruction, adaption of both sections, prediction of the next sample.
    fn adapt(&mut self, d: i32) {
        let r = sat(self.s + d);
        let p = sat(self.sz + d);
        let like = |x: i32, y: i32| (x < 0) == (y < 0);
        // UPPOL2
        let steep = sat(self.a[0] << 2);
        let turned = if like(p, self.p[0]) { -steep } else { steep };
        let turned = turned.min(32_767) >> 7;
        let push = if like(p, self.p[1]) { 128 } else { -128 };
        let a2 = (turned + push + ((self.a[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let push = if like(p, self.p[0]) { 192 } else { -192 };
        let most = 15_360 - a2;
        let a1 = sat(push + ((self.a[0] * 32_640) >> 15)).clamp(-most, most);
        // UPZERO
        let step = if d == 0 { 0 } else { 128 };
        for (b, old) in self.b.iter_mut().zip(&self.d) {
            let push = if like(d, *old) { step } else { -step };
            *b = sat(push + ((*b * 32_640) >> 15));
        }
        // DELAYA
        self.a = [a1, a2];
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.d.copy_within(..5, 1);
        self.d[0] = d;
        // FILTEP, FILTEZ, PREDIC
        let sp = sat(((a1 * sat(2 * self.r[0])) >> 15) + ((a2 * sat(2 * self.r[1])) >> 15));
        let zeros = self.b.iter().zip(&self.d);
        self.sz = sat(zeros.map(|(b, d)| (b * sat(2 * d)) >> 15).sum());
        self.s = sat(sp + self.sz);
    }

    /// The difference that an output of an inverse quantizer stands for.
    const fn difference(&self, output: i32) -> i32 {
        (self.det * output) >> 15
    }
}

/// Both sub-bands.
#[derive(Clone, Debug)]
struct Bands {
    low: Band,
    high: Band,
}

impl Default for Bands {
    fn default() -> Self {
        Self {
            low: Band::new(18_432, 8),
            high: Band::new(22_528, 10),
        }
    }
}

impl Bands {
    /// Blocks 1L and 1H: the code of two sub-band samples, 15 bits each.
    fn code(&self, low: i32, high: i32) -> u8 {
        let el = sat(low - self.low.s);
        let magnitude = if el < 0 { !el } else { el };
        let above = Q6[1..]
            .iter()
            .take_while(|level| magnitude >= (*level * self.low.det) >> 12)
            .count();
        // Codes 61 down to 32 for the positive intervals; 63, 62, 31 down to 4 for the negative ones.
        let interval = above as u8;
        let low_code = match (el < 0, interval) {
            (false, n) => 61 - n,
            (true, n @ 0..=1) => 63 - n,
            (true, n) => 33 - n,
        };
        let eh = sat(high - self.high.s);
        let magnitude = if eh < 0 { !eh } else { eh };
        let outer = magnitude >= (564 * self.high.det) >> 12;
        let high_code = match (eh < 0, outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        (high_code << 6) | low_code
    }

    /// Blocks 5 and 6: the sub-band samples that a code stands for.
    fn heard(&self, code: u8) -> (i32, i32) {
        let low = self.low.s + self.low.difference(QM6[usize::from(code & 0x3f)]);
        let high = self.high.s + self.high.difference(QM2[usize::from(code >> 6)]);
        (low.clamp(-16_384, 16_383), high.clamp(-16_384, 16_383))
    }

    /// Blocks 2 to 4 of both bands. The lower band's predictor sees only the upper 4 bits of its code.
    fn go_on(&mut self, code: u8) {
        let coarse = usize::from(code & 0x3f) >> 2;
        let d = self.low.difference(QM4[coarse]);
        self.low.scale(WL[coarse]);
        self.low.adapt(d);
        let outer = usize::from(code >> 6);
        let d = self.high.difference(QM2[outer]);
        self.high.scale(WH[outer]);
        self.high.adapt(d);
    }
}

/// The quadrature mirror filter's memory, oldest first.
#[derive(Clone, Debug, Default)]
struct Mirror([i32; SPAN]);

impl Mirror {
    /// Takes two values; gives the sums over every second one, of the older half first.
    fn sums(&mut self, older: i32, newer: i32) -> (i32, i32) {
        self.0.copy_within(2.., 0);
        self.0[SPAN - 2] = older;
        self.0[SPAN - 1] = newer;
        let (mut one, mut two) = (0, 0);
        for ((pair, tap), back) in self.0.as_chunks::<2>().0.iter().zip(QMF).zip(QMF.iter().rev()) {
            one += pair[0] * tap;
            two += pair[1] * back;
        }
        (one, two)
    }

    /// Two samples into a sample of each sub-band.
    fn split(&mut self, pair: [i16; 2]) -> (i32, i32) {
        let (one, two) = self.sums(i32::from(pair[0]), i32::from(pair[1]));
        ((two + one) >> 14, (two - one) >> 14)
    }

    /// A sample of each sub-band into two samples.
    fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let (one, two) = self.sums(low + high, low - high);
        [sat(two >> 11) as i16, sat(one >> 11) as i16]
    }
}

/// Encodes one stream.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    mirror: Mirror,
    bands: Bands,
}

impl super::Encoder for Encoder {
    fn sample_rate(&self) -> u32 {
        16_000
    }

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let (pairs, rest) = samples.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(CodecError::Length {
                codec: "G722",
                samples: samples.len(),
                allowed: "even numbers",
            });
        }
        out.extend(pairs.iter().map(|pair| {
            let (low, high) = self.mirror.split(*pair);
            let code = self.bands.code(low, high);
            self.bands.go_on(code);
            code
        }));
        Ok(())
    }
}

/// Decodes one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    mirror: Mirror,
    bands: Bands,
    /// The samples given last: the filter's memory for what is played in place of a missing packet.
    played: [i16; SPAN - 2],
}

impl Decoder {
    fn remember(&mut self, samples: &[i16]) {
        let n = samples.len().min(self.played.len());
        let keep = self.played.len() - n;
        self.played.copy_within(n.., 0);
        self.played[keep..].copy_from_slice(&samples[samples.len() - n..]);
    }
}

impl super::Decoder for Decoder {
    fn sample_rate(&self) -> u32 {
        16_000
    }

    fn samples_of(&self, payload: &[u8]) -> Option<usize> {
        Some(2 * payload.len())
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let (samples, room) = (2 * payload.len(), out.len());
        let Some(out) = out.get_mut(..samples) else {
            return Err(CodecError::Room {
                codec: "G722",
                samples,
                room,
            });
        };
        for (code, pair) in payload.iter().zip(out.as_chunks_mut::<2>().0) {
            let (low, high) = self.bands.heard(*code);
            self.bands.go_on(*code);
            *pair = self.mirror.join(low, high);
        }
        self.remember(out);
        Ok(samples)
    }

    /// The sender's predictors went on over the missing packet. What was played is encoded by ours, so that they are
    /// near by when the next packet comes (in the manner of G.722 Appendix IV §IV.6.1.3).
    fn follow(&mut self, played: &[i16]) {
        let mut mirror = Mirror::default();
        for (slot, sample) in mirror.0[2..].iter_mut().zip(self.played) {
            *slot = i32::from(sample);
        }
        for pair in played.as_chunks::<2>().0 {
            let (low, high) = mirror.split(*pair);
            let code = self.bands.code(low, high);
            let (low, high) = self.bands.heard(code);
            self.bands.go_on(code);
            self.mirror.join(low, high);
        }
        self.remember(played);
    }
}

#[cfg(test)]
mod tests;
