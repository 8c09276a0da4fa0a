//! Data streams and datagrams inside of binary messages.

use anyproxy_transport::{Flow, Sent, Stream, StreamError, Transport};
use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    frame::Frame,
    message::OpenReply,
};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::session::Session;
use crate::{bounded, bytes, opening, same, session, value};

/// Opens "Open" as stream 1 and "Open, flow" as stream 3.
async fn open_both(session: &mut Session) -> (Stream, Stream) {
    let mut streams = Vec::new();
    for name in ["Open", "Open, flow"] {
        streams.push(session.tunnel.open(&opening(name)).await.unwrap());
        same(&session.peer.next().await, &bytes(name));
    }
    let flow = streams.pop().unwrap();
    (streams.pop().unwrap(), flow)
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame.encode(&mut out);
    out.to_vec()
}

fn connected(stream: u64) -> Vec<u8> {
    let (code, detail) = (OpenCode::Connected, String::new());
    encoded(&Frame::OpenReply(OpenReply { stream, code, detail, address: None }))
}

#[tokio::test]
async fn a_stream_goes_through_its_life_as_written() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (mut stream, _flow) = open_both(&mut session).await;
        session.peer.send(&bytes("OpenReply")).await;
        let reply = stream.reply().await.unwrap();
        assert_eq!(Frame::OpenReply(reply), value("OpenReply"));

        stream.write_all(b"hello").await.unwrap();
        same(&session.peer.next().await, &bytes("Data"));
        stream.shutdown().await.unwrap();
        same(&session.peer.next().await, &bytes("Fin"));
        session.peer.send(&bytes("FinAck")).await;
        stream.acked().await.unwrap();

        session.peer.send(&[bytes("Data"), bytes("Fin")].concat()).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        same(&session.peer.next().await, &bytes("FinAck"));
    })
    .await;
}

#[tokio::test]
async fn a_refused_open_is_understood() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (_stream, mut flow) = open_both(&mut session).await;
        session.peer.send(&bytes("OpenReply, refused")).await;
        assert_eq!(Frame::OpenReply(flow.reply().await.unwrap()), value("OpenReply, refused"));
        let reset = Frame::Reset { stream: 3, code: StreamCode::OpenFailed };
        same(&session.peer.next().await, &encoded(&reset));
    })
    .await;
}

#[tokio::test]
async fn reset_and_stop_are_sent_as_written() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (mut stream, mut flow) = open_both(&mut session).await;
        flow.stop(StreamCode::UserGone);
        same(&session.peer.next().await, &bytes("Stop"));
        stream.stop(StreamCode::Cancelled);
        let stop = Frame::Stop { stream: 1, code: StreamCode::Cancelled };
        same(&session.peer.next().await, &encoded(&stop));
        stream.reset(StreamCode::TargetReset);
        same(&session.peer.next().await, &bytes("Reset"));
    })
    .await;
}

#[tokio::test]
async fn golden_reset_and_stop_are_understood() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (mut stream, mut flow) = open_both(&mut session).await;
        let bytes_then_reset = [bytes("OpenReply"), bytes("Data"), bytes("Reset")].concat();
        session.peer.send(&bytes_then_reset).await;
        let mut text = Vec::new();
        let error = stream.read_to_end(&mut text).await.unwrap_err();
        assert_eq!(text, b"hello");
        let reset = StreamError::Reset(StreamCode::TargetReset);
        assert_eq!(StreamError::from_io(&error), Some(&reset));

        session.peer.send(&bytes("Stop")).await;
        let answer = Frame::Reset { stream: 3, code: StreamCode::UserGone };
        same(&session.peer.next().await, &encoded(&answer));
        let error = flow.write_all(b"hello").await.unwrap_err();
        let stopped = StreamError::Stopped(StreamCode::UserGone);
        assert_eq!(StreamError::from_io(&error), Some(&stopped));
    })
    .await;
}

#[tokio::test]
async fn datagrams_are_as_written_both_ways() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (_stream, flow) = open_both(&mut session).await;
        let mut flow = Flow::new(flow);
        for (name, payload) in [("Datagram", &b"hello"[..]), ("Datagram, empty", b"")] {
            assert_eq!(flow.send(payload), Sent::Queued);
            same(&session.peer.next().await, &bytes(name));
            session.peer.send(&bytes(name)).await;
            assert_eq!(flow.recv().await, Ok(Some(Bytes::from_static(payload))));
        }
    })
    .await;
}

#[tokio::test]
async fn a_golden_empty_data_is_legal() {
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        // Opens that are taken back before they are sent draw their ids all the same.
        let opening = opening("Open");
        let mut stream = loop {
            let stream = session.tunnel.open(&opening).await.unwrap();
            if stream.id() == 70_001 {
                break stream;
            }
            drop(stream);
            tokio::task::yield_now().await;
        };
        let Frame::Open(open) = value("Open") else { panic!() };
        let open = anyproxy_wire::message::Open { stream: 70_001, ..open };
        same(&session.peer.next().await, &encoded(&Frame::Open(open)));
        let fin = encoded(&Frame::Fin { stream: 70_001, offset: 0 });
        session.peer.send(&[connected(70_001), bytes("Data, empty"), fin].concat()).await;
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        let fin_ack = encoded(&Frame::FinAck { stream: 70_001 });
        same(&session.peer.next().await, &fin_ack);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_optional_frame_is_skipped() {
    let rows = super::table::rows("### What a receiver accepts");
    let row = rows.iter().find(|cells| cells[1] == "FinAck").unwrap();
    bounded(async {
        let mut session = session(Transport::WebSocket).await;
        let (mut stream, _flow) = open_both(&mut session).await;
        session.peer.send(&bytes("OpenReply")).await;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        same(&session.peer.next().await, &bytes("Data"));
        same(&session.peer.next().await, &bytes("Fin"));
        session.peer.send(&super::table::hex(&row[2])).await;
        stream.acked().await.unwrap();
    })
    .await;
}
