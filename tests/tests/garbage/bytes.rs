//! What strangers say.

use anyproxy_tests::{target::pattern, user::base64};

/// The longest line that is taken anywhere is 64 KiB.
const LONG: usize = 70_000;

/// Numbers that are the same in every run, and look like none.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        Self((seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// What the stranger of this number says; `hello` is a ClientHello.
pub(crate) fn of(number: usize, hello: &[u8]) -> Vec<u8> {
    let mut random = Random::new(number);
    match number % 6 {
        0 => random.bytes(512),
        1 => {
            let mut whole = beginning(number / 6, hello);
            whole.truncate(random.below(whole.len()));
            whole
        }
        2 => [hello, &random.bytes(64)].concat(),
        3 => b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\nSSH-2.0-scan\r\n".to_vec(),
        4 => [b"GET http://", &vec![b'a'; LONG][..]].concat(),
        _ => vec![],
    }
}

/// How honest peers begin, of every protocol.
fn beginning(number: usize, hello: &[u8]) -> Vec<u8> {
    match number % 6 {
        0 => {
            let login = base64(b"somebody:with a wrong password");
            format!(
                "CONNECT target.test:80 HTTP/1.1\r\nHost: target.test:80\r\n\
                 Proxy-Authorization: Basic {login}\r\n\r\n"
            )
            .into_bytes()
        }
        1 => {
            b"\x05\x01\x02\x01\x08somebody\x05wrong\x05\x01\x00\x03\x0btarget.test\x00\x50".to_vec()
        }
        2 => hello.to_vec(),
        3 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\0\x50"
            .to_vec(),
        4 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        _ => pattern(200),
    }
}
