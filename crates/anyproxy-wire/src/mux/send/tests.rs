use bytes::BytesMut;

use super::super::event::Written;
use super::{MAX_SPARES, SendHalf, Spares};

const LIMIT: usize = 1000;

#[test]
fn the_ring_grows_to_its_limit_and_not_beyond() {
    let (mut send, mut spares) = (SendHalf::new(0), Spares::default());
    while send.write(&[0; 7], LIMIT, &mut spares) != Written::Blocked {
        assert!(send.queue.capacity() <= LIMIT);
    }
    assert_eq!(send.queue.len(), LIMIT);
}

#[test]
fn an_idle_stream_holds_no_ring_and_the_next_writer_gets_it() {
    let (mut send, mut spares) = (SendHalf::new(u64::MAX), Spares::default());
    send.write(&[0; 500], LIMIT, &mut spares);
    let capacity = send.queue.capacity();
    send.turn(1, LIMIT, &mut BytesMut::new(), &mut spares);
    assert_eq!((send.queue.capacity(), spares.0.len()), (0, 1));
    send.write(b"x", LIMIT, &mut spares);
    assert_eq!((send.queue.capacity(), spares.0.len()), (capacity, 0));
}

#[test]
fn few_rings_are_kept() {
    let mut spares = Spares::default();
    for _ in 0..20 {
        spares.give(&mut vec![0; 10].into());
    }
    assert_eq!(spares.0.len(), MAX_SPARES);
}
