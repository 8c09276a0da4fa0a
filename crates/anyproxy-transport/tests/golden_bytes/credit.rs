//! Credit both ways: the golden frame is what the gateway sends, and what lets it send more.

use anyproxy_transport::{Stream, Transport};
use anyproxy_wire::{frame::Frame, message::Welcome};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    peer::{Peer, varint},
    session::{GOLDEN_BUDGET, Session},
};
use crate::{BOTH, bounded, bytes, opening, same, value, welcome};

/// The window with which both offsets of the golden Credit can be met.
const WINDOW: u64 = 200_000;

/// The raw client's end of a data stream: its id, and what QUIC has for it.
struct End {
    id: u8,
    quic: Option<(quinn::SendStream, quinn::RecvStream)>,
}

fn credit(pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Frame::Credit(pairs.to_vec()).encode(&mut out);
    out.to_vec()
}

/// Opens streams 1 and 3, and answers them with yes.
async fn open_both(session: &mut Session) -> [(Stream, End); 2] {
    let mut ends = Vec::new();
    for id in [1, 3] {
        let mut stream = session.tunnel.open(&opening("Open")).await.unwrap();
        // The golden reply, with the id of this stream.
        let mut reply = bytes("OpenReply");
        reply[4] = id;
        let quic = match &mut session.peer {
            Peer::WebSocket(_) => {
                session.peer.next().await;
                session.peer.send(&reply).await;
                None
            }
            Peer::Quic(peer) => {
                let (mut send, recv, _) = peer.stream().await;
                send.write_all(&reply).await.unwrap();
                Some((send, recv))
            }
        };
        stream.reply().await.unwrap();
        ends.push((stream, End { id, quic }));
    }
    ends.try_into().unwrap_or_else(|_| panic!())
}

impl End {
    async fn send(&mut self, peer: &mut Peer, mut count: usize) {
        while count > 0 {
            let payload = vec![b'x'; count.min(60_000)];
            count -= payload.len();
            match &mut self.quic {
                Some((send, _)) => send.write_all(&payload).await.unwrap(),
                None => {
                    let mut data = BytesMut::new();
                    let (stream, bytes) = (u64::from(self.id), payload.into());
                    Frame::Data { stream, bytes }.encode(&mut data);
                    peer.send(&data).await;
                }
            }
        }
    }

    /// Waits until the gateway's transport holds all that was sent.
    async fn settle(&mut self, peer: &mut Peer) {
        match &mut self.quic {
            Some((send, _)) => {
                send.finish().unwrap();
                assert_eq!(send.stopped().await, Ok(None));
            }
            None => ping(peer).await,
        }
    }

    /// Receives bytes of the stream.
    async fn receive(&mut self, peer: &mut Peer) -> usize {
        match &mut self.quic {
            Some((_, recv)) => {
                recv.read_chunk(usize::MAX, true).await.unwrap().unwrap().bytes.len()
            }
            None => {
                let frame = peer.next().await;
                let (length, size) = varint(&frame[1..]).unwrap();
                assert_eq!((frame[0], frame[1 + size]), (0x20, self.id));
                usize::try_from(length).unwrap() - 1
            }
        }
    }
}

/// A golden Ping, answered.
async fn ping(peer: &mut Peer) {
    peer.send(&bytes("Ping")).await;
    same(&peer.next().await, &bytes("Pong"));
}

/// Lets `count` bytes arrive and be read in whatever pieces; none of them is held back.
async fn pass(session: &mut Session, stream: &mut Stream, end: &mut End, count: usize) {
    let mut bytes = vec![0; count];
    end.send(&mut session.peer, count).await;
    stream.read_exact(&mut bytes).await.unwrap();
}

#[tokio::test]
async fn reading_grants_the_golden_credit() {
    bounded(async {
        for carrier in BOTH {
            let welcome = Welcome { initial_credit: WINDOW, ..welcome("Welcome") };
            let mut session = Session::start(carrier, welcome, GOLDEN_BUDGET).await;
            let [(mut first, mut first_end), (mut third, mut third_end)] =
                open_both(&mut session).await;
            // At each half of a window, which is where what was sent ends.
            for half in [1, 2] {
                pass(&mut session, &mut first, &mut first_end, 100_000).await;
                let grant = credit(&[(1, half * 100_000 + WINDOW)]);
                same(&session.peer.next().await, &grant);
            }
            pass(&mut session, &mut first, &mut first_end, 99_999).await;
            pass(&mut session, &mut third, &mut third_end, 99_999).await;
            // What is still missing goes over the third half at once: 524,288 - 200,000.
            first_end.send(&mut session.peer, 24_289).await;
            third_end.send(&mut session.peer, 1).await;
            first_end.settle(&mut session.peer).await;
            third_end.settle(&mut session.peer).await;
            let mut buffer = vec![0; 30_000];
            // Without a pause in between, so that one frame holds both.
            let first_read = first.read(&mut buffer).now_or_never().unwrap().unwrap();
            let third_read = third.read(&mut buffer).now_or_never().unwrap().unwrap();
            assert_eq!((first_read, third_read), (24_289, 1));
            let received = session.peer.next().await;
            let other_order = credit(&[(3, 300_000), (1, 524_288)]);
            if carrier == Transport::WebSocket || received != other_order {
                same(&received, &bytes("Credit"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_golden_credit_lets_the_gateway_send_up_to_it() {
    let Frame::Credit(pairs) = value("Credit") else { panic!() };
    bounded(async {
        for carrier in BOTH {
            for (at, &(_, offset)) in pairs.iter().enumerate() {
                let mut session = crate::session(carrier).await;
                let mut ends = open_both(&mut session).await;
                let (stream, end) = &mut ends[at];
                // More than the credit and all buffers.
                let endless = vec![b'x'; 2_000_000];
                let peer = &mut session.peer;
                let client = async {
                    let mut received = 0;
                    // 262,144 is what Hello grants when it says nothing.
                    for limit in [262_144, usize::try_from(offset).unwrap()] {
                        while received < limit {
                            received += end.receive(peer).await;
                        }
                        // Whatever could be sent by now would come before the second Pong.
                        ping(peer).await;
                        ping(peer).await;
                        assert_eq!(received, limit);
                        peer.send(&bytes("Credit")).await;
                    }
                    // The same again is stale, and grants nothing.
                    ping(peer).await;
                    ping(peer).await;
                    assert_eq!(end.receive(peer).now_or_never(), None);
                };
                tokio::select! {
                    written = stream.write_all(&endless) => panic!("{written:?} beyond the credit"),
                    () = client => {}
                }
            }
        }
    })
    .await;
}
