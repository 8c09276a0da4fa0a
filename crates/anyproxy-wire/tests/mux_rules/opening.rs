//! Open, OpenReply, refusals, draining.

use anyproxy_wire::WireError;
use anyproxy_wire::codes::{OpenCode, StreamCode};
use anyproxy_wire::frame::Frame;
use anyproxy_wire::mux::{Event, Mux, MuxError, Queued, Read, Side, StreamGone, Written};

use super::*;

#[test]
fn ids_ascend_and_belong_to_the_gateway() {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(5)).unwrap();
    assert_eq!(mux.open(open(5)), Err(MuxError::IdInUse));
    assert_eq!(mux.open(open(3)), Err(MuxError::IdInUse));
    assert_eq!(mux.open(open(6)), Err(MuxError::WrongSide));
    assert_eq!(mux.open(open(u64::MAX)), Err(MuxError::WrongSide));
    assert_eq!(Mux::new(config(Side::Client)).open(open(2)), Err(MuxError::WrongSide));
    assert_eq!(Mux::new(config(Side::Client)).open(open(1)), Err(MuxError::WrongSide));
    mux.open(open(7)).unwrap();
}

#[test]
fn an_open_with_a_bad_id_or_at_the_gateway_is_an_error() {
    let mut mux = client();
    for id in [1, 0, 2] {
        assert_eq!(mux.receive(Frame::Open(open(id))), Err(WireError::BadStreamId(id)));
    }
    assert_eq!(gateway().receive(Frame::Open(open(2))), Err(WireError::UnexpectedFrame("Open")));
}

#[test]
fn first_bytes_and_fin_follow_the_open_at_once() {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    mux.write(1, b"hello");
    mux.finish(1);
    let expected = [Frame::Open(open(1)), data(1, b"hello"), Frame::Fin { stream: 1, offset: 5 }];
    assert_eq!(sent(&mut mux), expected);
}

#[test]
fn the_acceptors_bytes_wait_for_its_reply() {
    let mut mux = Mux::new(config(Side::Client));
    mux.receive(Frame::Open(open(1))).unwrap();
    mux.write(1, b"banner");
    assert_eq!(sent(&mut mux), []);
    let reply = reply(1, OpenCode::Connected);
    mux.reply(reply.clone()).unwrap();
    assert_eq!(mux.reply(reply.clone()), Err(StreamGone));
    assert_eq!(sent(&mut mux), [Frame::OpenReply(reply), data(1, b"banner")]);
}

#[test]
fn bytes_before_a_reply_and_a_second_reply_are_errors() {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    let reply = Frame::OpenReply(reply(1, OpenCode::Connected));
    assert_eq!(mux.receive(reply.clone()), Err(WireError::UnexpectedFrame("OpenReply")));
    sent(&mut mux);
    assert_eq!(mux.receive(data(1, b"x")), Err(WireError::UnexpectedFrame("Data")));
    let fin = Frame::Fin { stream: 1, offset: 0 };
    assert_eq!(mux.receive(fin), Err(WireError::UnexpectedFrame("Fin")));
    mux.receive(reply.clone()).unwrap();
    assert_eq!(mux.receive(reply.clone()), Err(WireError::UnexpectedFrame("OpenReply")));
    assert_eq!(client().receive(reply), Err(WireError::UnexpectedFrame("OpenReply")));
}

#[test]
fn a_failed_open_resets_both_directions() {
    let (failed, code) = (reply(1, OpenCode::Refused), StreamCode::OpenFailed);
    let reset = Frame::Reset { stream: 1, code };

    let mut mux = Mux::new(config(Side::Client));
    mux.receive(Frame::Open(open(1))).unwrap();
    mux.reply(failed.clone()).unwrap();
    assert_eq!(sent(&mut mux), [Frame::OpenReply(failed.clone()), reset.clone()]);
    assert_eq!(mux.write(1, b"x"), Written::Gone);

    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    sent(&mut mux);
    assert_eq!(mux.write(1, &[0; SEND_BUFFER]), Written::Some(SEND_BUFFER));
    assert_eq!(mux.write(1, b"x"), Written::Blocked);
    mux.receive(Frame::OpenReply(failed.clone())).unwrap();
    assert_eq!(events(&mut mux), [Event::Writable(1), Event::Replied(failed)]);
    assert_eq!(sent(&mut mux), std::slice::from_ref(&reset), "the queued bytes are dropped");
    mux.receive(reset).unwrap();
    assert_eq!(read(&mut mux, 1), Read::Reset(code));
}

#[test]
fn a_reset_without_a_reply_ends_the_wait_for_it() {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    sent(&mut mux);
    mux.receive(Frame::Reset { stream: 1, code: StreamCode::Internal }).unwrap();
    let abandoned = Event::Replied(reply(1, OpenCode::Abandoned));
    assert!(events(&mut mux).contains(&abandoned));
    assert_eq!(read(&mut mux, 1), Read::Reset(StreamCode::Internal));
    mux.receive(Frame::OpenReply(reply(1, OpenCode::Refused))).unwrap();
    assert_eq!(events(&mut mux), [], "the late answer is ignored");
}

#[test]
fn an_acceptor_that_leaves_before_it_replied_says_so() {
    let mut mux = Mux::new(config(Side::Client));
    mux.receive(Frame::Open(open(1))).unwrap();
    mux.release(1);
    assert_eq!(mux.reply(reply(1, OpenCode::Connected)), Err(StreamGone));
    let (stream, code) = (1, StreamCode::Cancelled);
    let expected = [
        Frame::OpenReply(reply(1, OpenCode::Abandoned)),
        Frame::Stop { stream, code },
        Frame::Reset { stream, code },
    ];
    assert_eq!(sent(&mut mux), expected);
}

#[test]
fn a_user_who_leaves_while_the_target_is_dialled_takes_the_reply_from_the_dialler() {
    let mut mux = Mux::new(config(Side::Client));
    mux.receive(Frame::Open(open(1))).unwrap();
    let (stream, code) = (1, StreamCode::UserGone);
    mux.receive(Frame::Stop { stream, code }).unwrap();
    assert!(events(&mut mux).contains(&Event::Stopped(1, code)));
    assert_eq!(mux.reply(reply(1, OpenCode::Connected)), Err(StreamGone));
}

#[test]
fn an_open_taken_back_in_time_is_never_sent() {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    mux.write(1, b"hello");
    mux.release(1);
    assert_eq!(sent(&mut mux), []);
    assert_eq!((events(&mut mux), mux.stream_count()), (vec![Event::Closed(1)], 0));
}

#[test]
fn streams_over_the_limit_are_refused_and_forgotten() {
    let mut mux = Mux::new(config(Side::Gateway));
    for id in [1, 3, 5, 7] {
        mux.open(open(id)).unwrap();
    }
    assert_eq!(mux.open(open(9)), Err(MuxError::TooManyStreams));

    let mut mux = Mux::new(config(Side::Client));
    for id in [1, 3, 5, 7, 9] {
        mux.receive(Frame::Open(open(id))).unwrap();
    }
    assert_eq!(mux.stream_count(), 4);
    assert_eq!(events(&mut mux).len(), 4);
    mux.receive(data(9, b"first bytes")).unwrap();
    let reset = Frame::Reset { stream: 9, code: StreamCode::OpenFailed };
    let expected = [Frame::OpenReply(reply(9, OpenCode::Overloaded)), reset.clone()];
    assert_eq!(sent(&mut mux), expected);
    mux.receive(reset).unwrap();
}

#[test]
fn after_goaway_nobody_opens_and_live_streams_go_on() {
    let mut mux = gateway();
    assert_eq!(mux.control(goaway()), Queued::Queued);
    assert_eq!(mux.open(open(3)), Err(MuxError::Draining));
    mux.write(1, b"on");
    assert_eq!(sent(&mut mux), [goaway(), data(1, b"on")]);

    let mut mux = gateway();
    mux.receive(goaway()).unwrap();
    assert_eq!(events(&mut mux), [Event::Control(goaway())]);
    assert_eq!(mux.open(open(3)), Err(MuxError::Draining));

    let mut mux = client();
    mux.control(goaway());
    sent(&mut mux);
    mux.receive(Frame::Open(open(3))).unwrap();
    assert_eq!(sent(&mut mux)[0], Frame::OpenReply(reply(3, OpenCode::Draining)));
    mux.receive(data(1, b"on")).unwrap();
    assert_eq!(read(&mut mux, 1), chunk(b"on"));
}

#[test]
fn a_goaway_lets_earlier_opens_go_first() {
    let mut mux = gateway();
    mux.open(open(3)).unwrap();
    mux.control(goaway());
    assert_eq!(sent(&mut mux), [Frame::Open(open(3)), goaway()]);
}
