//! What the last stage is to predict at each position (spec 8.8).

/// The target of a row that counts for nothing, as [`Op::CrossEntropy`](crate::compute::Op) has it.
pub const NO_TARGET: u32 = u32::MAX;

/// Which next tokens count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// All: sequences are packed without padding. What production uses.
    Packed,
    /// Those after a target that is this padding token do not.
    Padded(u32),
}

/// The next token of every position of every sequence of `seq` tokens, written to `out` (same
/// length); the last position of a sequence has none. Returns how many positions count.
pub fn next_tokens(tokens: &[u32], seq: usize, packing: Packing, out: &mut [u32]) -> usize {
    let mut counted = 0;
    for (sequence, targets) in tokens.chunks(seq.max(1)).zip(out.chunks_mut(seq.max(1))) {
        targets.fill(NO_TARGET);
        let mut previous = None;
        for (target, next) in targets.iter_mut().zip(sequence.iter().skip(1)) {
            let masked = matches!(packing, Packing::Padded(pad) if previous == Some(pad));
            if !masked {
                *target = *next;
                counted += 1;
            }
            previous = Some(*next);
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_position_of_each_sequence_has_no_target() {
        let mut out = [0; 6];
        assert_eq!(next_tokens(&[1, 2, 3, 4, 5, 6], 3, Packing::Packed, &mut out), 4);
        assert_eq!(out, [2, 3, NO_TARGET, 5, 6, NO_TARGET]);
    }

    #[test]
    fn what_follows_a_padding_target_does_not_count() {
        let mut out = [0; 5];
        assert_eq!(next_tokens(&[1, 2, 9, 9, 9], 5, Packing::Padded(9), &mut out), 2);
        assert_eq!(out, [2, 9, NO_TARGET, NO_TARGET, NO_TARGET]);
    }
}
