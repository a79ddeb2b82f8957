//! Random identifiers: branches, tags, Call-IDs, nonces of ours. The generator is passed in, so tests repeat.

use rand::RngCore;

use crate::via::MAGIC_COOKIE;

/// 96 random bits as 24 hexadecimal digits: more than the 32 bits a tag needs (RFC 3261 §19.3).
#[must_use]
pub fn random_token(rng: &mut impl RngCore) -> String {
    let (high, low) = (rng.next_u64(), rng.next_u32());
    format!("{high:016x}{low:08x}")
}

/// A new branch, `z9hG4bK` and a random token (RFC 3261 §8.1.1.7).
#[must_use]
pub fn branch(rng: &mut impl RngCore) -> String {
    format!("{MAGIC_COOKIE}{}", random_token(rng))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn tokens_repeat_with_the_seed_and_differ_in_a_run() {
        let two = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (branch(&mut rng), branch(&mut rng))
        };
        assert_eq!(two(1), two(1));
        assert_ne!(two(1).0, two(1).1);
        assert_eq!(two(1).0.len(), 31);
    }
}
