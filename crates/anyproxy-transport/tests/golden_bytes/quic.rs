//! Data streams and datagrams as QUIC's own.

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Flow, Sent, Stream, StreamError, Transport};
use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    frame::Frame,
    message::OpenReply,
};
use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, VarInt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::session::Session;
use crate::{bounded, bytes, opening, row, same, session, value};

/// A data stream at both ends.
type Ends = (Stream, SendStream, RecvStream);

/// Opens "Open" as stream 1 and "Open, flow" as stream 3.
async fn open_both(session: &mut Session) -> (Ends, Ends) {
    let mut streams = Vec::new();
    for name in ["Open", "Open, flow"] {
        let stream = session.tunnel.open(&opening(name)).await.unwrap();
        let (send, recv, head) = session.peer.quic().stream().await;
        same(&head, &bytes(name));
        streams.push((stream, send, recv));
    }
    let flow = streams.pop().unwrap();
    (streams.pop().unwrap(), flow)
}

/// The code at the end of a golden Reset or Stop.
fn code(name: &str) -> VarInt {
    VarInt::from(*bytes(name).last().unwrap())
}

#[tokio::test]
async fn a_stream_goes_through_its_life_as_written() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let ((mut stream, mut send, mut recv), _flow) = open_both(&mut session).await;
        send.write_all(&bytes("OpenReply")).await.unwrap();
        let reply = stream.reply().await.unwrap();
        assert_eq!(Frame::OpenReply(reply), value("OpenReply"));

        // Nothing stands between the head and the bytes, or behind them: FIN is QUIC's own.
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        same(&recv.read_to_end(64).await.unwrap(), b"hello");
        stream.acked().await.unwrap();

        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        assert_eq!(send.stopped().await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn bytes_right_behind_the_golden_reply_are_the_streams() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let ((mut stream, mut send, _recv), _flow) = open_both(&mut session).await;
        send.write_all(&[&bytes("OpenReply"), &b"hello"[..]].concat()).await.unwrap();
        send.finish().unwrap();
        assert_eq!(Frame::OpenReply(stream.reply().await.unwrap()), value("OpenReply"));
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    })
    .await;
}

#[tokio::test]
async fn a_refused_open_is_understood() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let (_stream, (mut flow, mut send, _recv)) = open_both(&mut session).await;
        send.write_all(&bytes("OpenReply, refused")).await.unwrap();
        assert_eq!(Frame::OpenReply(flow.reply().await.unwrap()), value("OpenReply, refused"));
    })
    .await;
}

#[tokio::test]
async fn reset_and_stop_are_sent_with_the_codes_written() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let ((mut stream, _send, mut recv), (mut flow, flow_send, _flow_recv)) =
            open_both(&mut session).await;
        stream.reset(StreamCode::TargetReset);
        let error = recv.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error, ReadError::Reset(code("Reset")));
        flow.stop(StreamCode::UserGone);
        assert_eq!(flow_send.stopped().await, Ok(Some(code("Stop"))));
    })
    .await;
}

#[tokio::test]
async fn reset_and_stop_with_the_codes_written_are_understood() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let ((mut stream, mut send, _recv), (mut flow, _flow_send, mut flow_recv)) =
            open_both(&mut session).await;
        send.write_all(&bytes("OpenReply")).await.unwrap();
        stream.reply().await.unwrap();
        send.reset(code("Reset")).unwrap();
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        let reset = StreamError::Reset(StreamCode::TargetReset);
        assert_eq!(StreamError::from_io(&error), Some(&reset));

        flow_recv.stop(code("Stop")).unwrap();
        let stopped = StreamError::Stopped(StreamCode::UserGone);
        assert_eq!(flow.acked().await, Err(stopped.clone()));
        let error = flow.write_all(b"hello").await.unwrap_err();
        assert_eq!(StreamError::from_io(&error), Some(&stopped));
    })
    .await;
}

#[tokio::test]
async fn datagrams_are_as_written_both_ways() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let (_stream, (flow, _send, _recv)) = open_both(&mut session).await;
        let mut flow = Flow::new(flow);
        for (suffix, payload) in [("", &b"hello"[..]), (", empty", b"")] {
            let heading = "### Datagrams outside of frames";
            let golden = row(heading, &format!("QUIC DATAGRAM{suffix}"));
            let conn = session.peer.quic().conn.clone();
            assert_eq!(flow.send(payload), Sent::Queued);
            same(&conn.read_datagram().await.unwrap(), &golden);
            conn.send_datagram(golden.into()).unwrap();
            assert_eq!(flow.recv().await, Ok(Some(Bytes::from_static(payload))));
        }
    })
    .await;
}

#[tokio::test]
async fn datagrams_on_the_flows_own_stream_are_as_written_both_ways() {
    bounded(async {
        let mut session = session(Transport::Quic).await;
        let (_stream, (mut flow, mut send, mut recv)) = open_both(&mut session).await;
        let (code, detail) = (OpenCode::Connected, String::new());
        let reply = OpenReply { stream: 3, code, detail, address: None };
        let mut head = BytesMut::new();
        Frame::OpenReply(reply).encode(&mut head);
        send.write_all(&head).await.unwrap();
        flow.expect_reply(Deadline::never());
        let mut flow = Flow::new(flow);
        for (suffix, payload) in [("", &b"hello"[..]), (", empty", b"")] {
            let heading = "### Datagrams outside of frames";
            let golden = row(heading, &format!("flow's stream{suffix}"));
            send.write_all(&golden).await.unwrap();
            assert_eq!(flow.recv().await, Ok(Some(Bytes::from_static(payload))));
        }
        assert_eq!(flow.send(&[7; 40_000]), Sent::Queued);
        let mut large = vec![0; 40_004];
        tokio::select! {
            read = recv.read_exact(&mut large) => read.unwrap(),
            other = flow.recv() => panic!("{other:?}"),
        }
        // 40,000 as a varint of four bytes (RFC 9000, 16).
        same(&large[..4], &[0x80, 0, 0x9c, 0x40]);
        assert_eq!(large[4..], [7; 40_000]);
    })
    .await;
}
