//! A panel line's two-way audio.

/// Samples per second of every audio port.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples of one 10 ms frame.
pub const FRAME_SAMPLES: usize = 160;
/// 10 ms of mono audio, signed 16 bit.
pub type Frame = [i16; FRAME_SAMPLES];

/// Audio of one line. The media session calls it every 10 ms from its own thread; it never blocks and never
/// allocates.
pub trait AudioPort: Send {
    /// Fills `frame` with what the visitor says; silence if there is nothing.
    fn capture(&mut self, frame: &mut Frame);
    /// Takes what the visitor shall hear.
    fn playback(&mut self, frame: &Frame);
}
