//! Variable-length integers (RFC 9000 section 16).
//!
//! The two top bits of the first byte give the length, 1, 2, 4 or 8 bytes; the rest is the value,
//! big-endian. Senders write the shortest form; receivers take every form.

use bytes::BufMut;

/// The largest value that a varint holds.
pub const MAX: u64 = (1 << 62) - 1;

/// The largest number of bytes of one varint.
pub const MAX_SIZE: usize = 8;

const ONE: u64 = 1 << 6;
const TWO: u64 = 1 << 14;
const FOUR: u64 = 1 << 30;

/// Writes `value` in its shortest form. Values over [`MAX`] are written as [`MAX`].
pub fn put(out: &mut impl BufMut, value: u64) {
    let value = value.min(MAX);
    match size(value) {
        1 => out.put_uint(value, 1),
        2 => out.put_uint(value | (1 << 14), 2),
        4 => out.put_uint(value | (2 << 30), 4),
        _ => out.put_u64(value | (3 << 62)),
    }
}

/// How many bytes [`put`] writes for `value`.
pub const fn size(value: u64) -> usize {
    match value {
        0..ONE => 1,
        ONE..TWO => 2,
        TWO..FOUR => 4,
        FOUR.. => 8,
    }
}

/// Takes one varint off the front of `input`; `None`, and nothing taken, if it is incomplete.
pub fn get(input: &mut &[u8]) -> Option<u64> {
    let first = *input.first()?;
    let (bytes, rest) = input.split_at_checked(1 << (first >> 6))?;
    let value = bytes.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte));
    *input = rest;
    // The length bits sit on top of the value: 2 of 8, 16, 32 or 64 bits.
    Some(match bytes.len() {
        1 => value & (ONE - 1),
        2 => value & (TWO - 1),
        4 => value & (FOUR - 1),
        _ => value & MAX,
    })
}

#[cfg(test)]
mod tests;
