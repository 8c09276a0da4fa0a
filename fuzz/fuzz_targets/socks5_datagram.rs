#![no_main]
//! The head of a SOCKS5 datagram and its payload are the datagram, and addresses that we write are read
//! back.

use std::net::SocketAddr;

use anyproxy_fuzz::bounded;
use anyproxy_gateway::ingress::socks5::{
    address::{self, Address},
    datagram,
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (SocketAddr, &[u8])| {
    let (addr, bytes) = input;
    bounded(bytes.len(), || {
        let mut out = Vec::new();
        address::put(&mut out, addr);
        let Address::Whole { host, port, length } = address::parse(out[0], &out[1..]) else {
            panic!("what we write is whole");
        };
        assert_eq!((host.parse(), port), (Ok(addr.ip().to_canonical()), addr.port()));
        assert_eq!(length + 1, out.len());

        let datagram = Bytes::copy_from_slice(bytes);
        if let Ok((head, payload)) = datagram::parse(&datagram) {
            assert_eq!([&head.asked[..], &payload].concat(), bytes);
            // A reply is understood by whoever understands requests.
            let reply = [&head.reply(None)[..], &payload].concat();
            assert_eq!(datagram::parse(&reply.into()), Ok((head, payload)));
        }
    });
});
