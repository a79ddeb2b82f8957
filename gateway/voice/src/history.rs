//! Spectra of what was played, newest first.

use crate::transform::{Bin, Transform};

/// A ring of spectra of the last blocks, each of two frames with the newest frame last (overlap-save).
#[derive(Clone, Debug)]
pub(crate) struct History {
    transform: Transform,
    /// The last two frames.
    block: Vec<f32>,
    bins: usize,
    spectra: Vec<Bin>,
    /// Slot of the newest.
    newest: usize,
    slots: usize,
}

impl History {
    /// Keeps `slots` spectra of blocks of two frames.
    pub(crate) fn new(frame: usize, slots: usize) -> Self {
        let bins = frame + 1;
        Self {
            transform: Transform::new(2 * frame),
            block: vec![0.0; 2 * frame],
            bins,
            spectra: vec![Bin::default(); slots * bins],
            newest: 0,
            slots,
        }
    }

    /// Takes the next frame.
    pub(crate) fn push(&mut self, frame: &[f32]) {
        let n = frame.len();
        self.block.copy_within(n.., 0);
        self.block[n..].copy_from_slice(frame);
        self.newest = (self.newest + self.slots - 1) % self.slots;
        let from = self.newest * self.bins;
        self.transform
            .forward(&self.block, &mut self.spectra[from..from + self.bins]);
    }

    /// The spectrum of `age` frames ago; 0 is the newest.
    pub(crate) fn spectrum(&self, age: usize) -> &[Bin] {
        let slot = (self.newest + age) % self.slots;
        &self.spectra[slot * self.bins..(slot + 1) * self.bins]
    }
}
