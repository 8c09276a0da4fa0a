//! Fin, FinAck, Reset, Stop, release, and frames behind the end.

use std::time::Duration;

use anyproxy_wire::WireError;
use anyproxy_wire::codes::{CloseCode, OpenCode, StreamCode};
use anyproxy_wire::frame::Frame;
use anyproxy_wire::message::Refuse;
use anyproxy_wire::mux::{Event, FinState, Read, Written};

use super::*;

const FIN_ACK: Frame = Frame::FinAck { stream: 1 };

const fn fin(offset: u64) -> Frame {
    Frame::Fin { stream: 1, offset }
}

const fn reset(code: StreamCode) -> Frame {
    Frame::Reset { stream: 1, code }
}

const fn stop(code: StreamCode) -> Frame {
    Frame::Stop { stream: 1, code }
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    let mut mux = gateway();
    mux.write(1, b"request");
    mux.finish(1);
    assert_eq!(mux.write(1, b"more"), Written::Gone);
    assert_eq!(sent(&mut mux), [data(1, b"request"), fin(7)]);
    assert_eq!(mux.fin_state(1), FinState::Pending);
    mux.receive(FIN_ACK).unwrap();
    assert_eq!(events(&mut mux), [Event::FinAcked(1)]);
    assert_eq!(mux.fin_state(1), FinState::Acked);

    mux.receive(data(1, b"response")).unwrap();
    assert_eq!(read(&mut mux, 1), chunk(b"response"));
    assert_eq!(read(&mut mux, 1), Read::Blocked);
    mux.receive(fin(8)).unwrap();
    assert_eq!(events(&mut mux), [Event::Readable(1)]);
    assert_eq!(read(&mut mux, 1), Read::Finished);
    assert_eq!(read(&mut mux, 1), Read::Finished, "it stays so");
    assert_eq!(sent(&mut mux), [FIN_ACK]);

    mux.release(1);
    assert_eq!(sent(&mut mux), []);
    assert_eq!(events(&mut mux), [Event::Closed(1)]);
}

#[test]
fn fin_is_acknowledged_before_the_application_reads() {
    let mut mux = client();
    mux.receive(data(1, b"tail")).unwrap();
    mux.receive(fin(4)).unwrap();
    mux.receive(fin(4)).unwrap();
    assert_eq!(sent(&mut mux), [FIN_ACK], "once");
    assert_eq!(read(&mut mux, 1), chunk(b"tail"));
    assert_eq!(read(&mut mux, 1), Read::Finished);
}

#[test]
fn a_fin_that_disagrees_about_the_bytes_is_an_error() {
    let mut mux = client();
    mux.receive(data(1, b"four")).unwrap();
    let wrong = |claimed, received| WireError::FinalSize { stream: 1, claimed, received };
    assert_eq!(mux.receive(fin(3)), Err(wrong(3, 4)));
    assert_eq!(mux.receive(fin(5)), Err(wrong(5, 4)));
    mux.receive(fin(4)).unwrap();
    assert_eq!(mux.receive(fin(5)), Err(wrong(5, 4)));
    assert_eq!(mux.receive(data(1, b"x")), Err(wrong(4, 5)), "bytes behind Fin");
    mux.receive(data(1, b"")).unwrap();
}

#[test]
fn a_fin_ack_without_a_fin_is_an_error() {
    let mut mux = gateway();
    assert_eq!(mux.receive(FIN_ACK), Err(WireError::UnexpectedFrame("FinAck")));
    mux.write(1, &[0; 300]);
    mux.finish(1);
    assert_eq!(sent_within(&mut mux, 1).len(), 1);
    assert_eq!(mux.receive(FIN_ACK), Err(WireError::UnexpectedFrame("FinAck")));
    sent(&mut mux);
    mux.receive(FIN_ACK).unwrap();
    mux.receive(FIN_ACK).unwrap();
    assert_eq!(events(&mut mux), [Event::FinAcked(1)]);
}

#[test]
fn a_reset_drops_what_was_not_sent_and_keeps_its_code() {
    let mut mux = gateway();
    mux.write(1, b"never sent");
    mux.reset(1, StreamCode::TargetReset);
    mux.reset(1, StreamCode::Idle);
    assert_eq!(sent(&mut mux), [reset(StreamCode::TargetReset)]);
    assert_eq!(mux.write(1, b"x"), Written::Gone);
    assert_eq!(mux.fin_state(1), FinState::Gone);
}

#[test]
fn bytes_before_a_reset_are_still_delivered() {
    let mut mux = client();
    mux.receive(data(1, b"before")).unwrap();
    mux.receive(reset(StreamCode::UserGone)).unwrap();
    mux.receive(data(1, b"behind")).unwrap();
    mux.receive(fin(0)).unwrap();
    assert_eq!(read(&mut mux, 1), chunk(b"before"));
    assert_eq!(read(&mut mux, 1), Read::Reset(StreamCode::UserGone));
    assert_eq!(read(&mut mux, 1), Read::Reset(StreamCode::UserGone));
    assert_eq!(sent(&mut mux), [], "no answer");
}

#[test]
fn a_stop_is_answered_by_a_reset_with_its_code() {
    let mut mux = gateway();
    assert_eq!(mux.write(1, &[0; SEND_BUFFER]), Written::Some(SEND_BUFFER));
    assert_eq!(mux.write(1, b"x"), Written::Blocked);
    mux.receive(stop(StreamCode::Stalled)).unwrap();
    mux.receive(stop(StreamCode::Idle)).unwrap();
    let stopped = Event::Stopped(1, StreamCode::Stalled);
    assert_eq!(events(&mut mux), [Event::Writable(1), stopped]);
    assert_eq!(mux.write(1, b"x"), Written::Stopped(StreamCode::Stalled));
    assert_eq!(mux.fin_state(1), FinState::Stopped(StreamCode::Stalled));
    assert_eq!(sent(&mut mux), [reset(StreamCode::Stalled)]);
}

#[test]
fn a_stop_behind_the_end_is_not_answered() {
    let mut mux = gateway();
    mux.finish(1);
    sent(&mut mux);
    mux.receive(FIN_ACK).unwrap();
    mux.receive(stop(StreamCode::Cancelled)).unwrap();
    assert_eq!(sent(&mut mux), []);
    assert_eq!(mux.fin_state(1), FinState::Acked);
}

#[test]
fn stopping_drops_the_bytes_and_asks_the_peer_once() {
    let mut mux = client();
    mux.receive(data(1, b"unwanted")).unwrap();
    mux.stop(1, StreamCode::TargetReset);
    mux.stop(1, StreamCode::Idle);
    assert_eq!(read(&mut mux, 1), Read::Gone);
    assert_eq!((mux.buffered(1), mux.outstanding(1)), (0, 0));
    assert_eq!(sent(&mut mux), [stop(StreamCode::TargetReset)]);
    mux.receive(data(1, b"in flight")).unwrap();
    assert_eq!(mux.buffered(1), 0);
    mux.receive(reset(StreamCode::TargetReset)).unwrap();
    assert_eq!(sent(&mut mux), []);
}

#[test]
fn nothing_is_stopped_that_has_ended() {
    let mut mux = client();
    mux.receive(fin(0)).unwrap();
    mux.stop(1, StreamCode::Cancelled);
    assert_eq!(sent(&mut mux), [FIN_ACK]);

    let mut mux = client();
    mux.stop(1, StreamCode::Cancelled);
    mux.receive(fin(0)).unwrap();
    assert_eq!(sent(&mut mux), [FIN_ACK], "it ended before the Stop was sent");
}

#[test]
fn release_cancels_what_is_open() {
    let mut mux = gateway();
    mux.write(1, b"lost");
    mux.release(1);
    assert_eq!(sent(&mut mux), [stop(StreamCode::Cancelled), reset(StreamCode::Cancelled)]);
    assert_eq!((read(&mut mux, 1), mux.write(1, b"x")), (Read::Gone, Written::Gone));
    mux.receive(data(1, b"in flight")).unwrap();
    assert_eq!(mux.stream_count(), 1);
    mux.receive(reset(StreamCode::Cancelled)).unwrap();
    assert_eq!((events(&mut mux), mux.stream_count()), (vec![Event::Closed(1)], 0));
}

#[test]
fn release_still_sends_what_was_finished() {
    let mut mux = gateway();
    mux.receive(fin(0)).unwrap();
    sent(&mut mux);
    events(&mut mux);
    mux.write(1, b"whole");
    mux.finish(1);
    mux.release(1);
    assert_eq!(sent(&mut mux), [data(1, b"whole"), fin(5)]);
    assert_eq!(mux.stream_count(), 1, "live until the peer holds all of it");
    mux.receive(FIN_ACK).unwrap();
    assert_eq!((events(&mut mux), mux.stream_count()), (vec![Event::Closed(1)], 0));
}

#[test]
fn what_was_received_can_be_read_until_release() {
    let mut mux = gateway();
    mux.receive(data(1, b"kept")).unwrap();
    mux.receive(fin(4)).unwrap();
    mux.reset(1, StreamCode::Cancelled);
    sent(&mut mux);
    assert_eq!(mux.stream_count(), 1);
    assert_eq!(read(&mut mux, 1), chunk(b"kept"));
    mux.release(1);
    assert_eq!(mux.stream_count(), 0);
}

#[test]
fn frames_for_an_ended_stream_are_ignored() {
    let mut mux = gateway();
    mux.release(1);
    sent(&mut mux);
    mux.receive(reset(StreamCode::Cancelled)).unwrap();
    assert_eq!(mux.stream_count(), 0);
    let code = StreamCode::Cancelled;
    for frame in [data(1, b"late"), fin(9), FIN_ACK, reset(code), stop(code)] {
        assert_eq!(mux.receive(frame), Ok(()));
    }
    let reply = Frame::OpenReply(reply(1, OpenCode::Connected));
    assert_eq!(mux.receive(reply), Ok(()));
    assert_eq!(sent(&mut mux), []);
}

#[test]
fn frames_for_a_stream_that_was_never_opened_are_errors() {
    let code = StreamCode::Cancelled;
    for mut mux in [gateway(), client()] {
        for stream in [0, 2, 3] {
            let error = Err(WireError::UnknownStream(stream));
            assert_eq!(mux.receive(data(stream, b"x")), error);
            assert_eq!(mux.receive(Frame::Fin { stream, offset: 0 }), error);
            assert_eq!(mux.receive(Frame::FinAck { stream }), error);
            assert_eq!(mux.receive(Frame::Reset { stream, code }), error);
            assert_eq!(mux.receive(Frame::Stop { stream, code }), error);
            assert_eq!(mux.receive(Frame::Credit(vec![(stream, 5000)])), Ok(()));
        }
    }
}

#[test]
fn handshake_frames_are_errors() {
    let refuse =
        Refuse { code: CloseCode::OverLimit, reason: String::new(), retry_after: Duration::ZERO };
    let error = client().receive(Frame::Refuse(refuse));
    assert_eq!(error, Err(WireError::UnexpectedFrame("Refuse")));
}
