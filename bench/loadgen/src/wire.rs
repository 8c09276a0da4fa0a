//! How a visitor tells the service what it wants: one operation and one number, before anything else.
//!
//! ```text
//! visitor:  operation (1 byte)  number (8 bytes, little-endian)  ...
//! ```

/// The length of what a visitor opens a connection with.
pub const OPENING: usize = 9;

/// The length of one request of [`Operation::Answer`]; its first 8 bytes are the length of the answer.
pub const REQUEST: usize = 64;

/// A connection that should never end asks for this many bytes.
pub const ENDLESS: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Everything comes back.
    Echo,
    /// As many bytes of the pattern as the number says, then the end of the stream; the service stays until
    /// the visitor has closed too.
    Source,
    /// The same, but the service closes its socket at once.
    SourceThenGone,
    /// Requests of [`REQUEST`] bytes, each answered before the next is read.
    Answer,
}

impl Operation {
    const ALL: [(u8, Self); 4] = [
        (b'e', Self::Echo),
        (b's', Self::Source),
        (b'g', Self::SourceThenGone),
        (b'a', Self::Answer),
    ];

    pub fn opening(self, number: u64) -> [u8; OPENING] {
        let mut bytes = [0; OPENING];
        let code = Self::ALL.iter().find(|(_, operation)| *operation == self);
        bytes[0] = code.map_or(0, |(code, _)| *code);
        bytes[1..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    pub fn parse(opening: [u8; OPENING]) -> Option<(Self, u64)> {
        let [code, number @ ..] = opening;
        let (_, operation) = Self::ALL.iter().find(|(known, _)| *known == code)?;
        Some((*operation, u64::from_le_bytes(number)))
    }
}

/// Fills `chunk` with the pattern as it is at `offset` of the stream.
///
/// Each 8 bytes are a mix of their place, so a byte that is missing, doubled, moved or changed shows, whatever
/// the length of the block it happened to.
pub fn pattern(offset: u64, chunk: &mut [u8]) {
    let mut at = offset;
    let mut rest = chunk;
    while !rest.is_empty() {
        let word = mix(at / 8).to_le_bytes();
        let skip = (at % 8) as usize;
        let take = (8 - skip).min(rest.len());
        let (now, later) = rest.split_at_mut(take);
        now.copy_from_slice(&word[skip..skip + take]);
        at += take as u64;
        rest = later;
    }
}

/// The finaliser of SplitMix64.
fn mix(place: u64) -> u64 {
    let mut word = place.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_does_not_depend_on_how_it_is_cut() {
        let mut whole = [0; 100];
        pattern(3, &mut whole);
        let mut pieces = [0; 100];
        pattern(3, &mut pieces[..17]);
        pattern(20, &mut pieces[17..]);
        assert_eq!(whole, pieces);
        assert_ne!(whole[5..13], whole[13..21]);
    }

    #[test]
    fn an_opening_comes_back() {
        for (_, operation) in Operation::ALL {
            assert_eq!(Operation::parse(operation.opening(7)), Some((operation, 7)));
        }
        assert_eq!(Operation::parse([0; OPENING]), None);
    }
}
