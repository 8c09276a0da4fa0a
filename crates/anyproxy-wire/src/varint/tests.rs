use super::*;

fn encoded(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

#[test]
fn the_examples_of_rfc_9000_appendix_a_1() {
    let examples: [(&[u8], u64); 5] = [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
        (&[0x40, 0x25], 37),
    ];
    for (bytes, value) in examples {
        let mut input = bytes;
        assert_eq!(get(&mut input), Some(value), "{bytes:02x?}");
        assert!(input.is_empty());
    }
    for (bytes, value) in &examples[..4] {
        assert_eq!(encoded(*value), *bytes);
    }
}

#[test]
fn the_edges_of_each_size_round_trip_in_the_shortest_form() {
    let edges = [
        (0, 1),
        (63, 1),
        (64, 2),
        (16_383, 2),
        (16_384, 4),
        ((1 << 30) - 1, 4),
        (1 << 30, 8),
        (MAX, 8),
    ];
    for (value, expected) in edges {
        let bytes = encoded(value);
        assert_eq!((bytes.len(), size(value)), (expected, expected), "{value}");
        assert_eq!(get(&mut &bytes[..]), Some(value));
    }
}

#[test]
fn a_value_over_the_largest_is_written_as_the_largest() {
    for value in [MAX + 1, u64::MAX] {
        assert_eq!(encoded(value), encoded(MAX));
    }
    assert_eq!(size(u64::MAX), MAX_SIZE);
}

#[test]
fn an_incomplete_one_takes_nothing() {
    for value in [64, 16_384, MAX] {
        let bytes = encoded(value);
        for end in 0..bytes.len() {
            let mut input = &bytes[..end];
            assert_eq!(get(&mut input), None);
            assert_eq!(input.len(), end);
        }
    }
}

#[test]
fn what_is_behind_stays() {
    let mut input = &[0x25, 0xff][..];
    assert_eq!(get(&mut input), Some(37));
    assert_eq!(input, [0xff]);
}
