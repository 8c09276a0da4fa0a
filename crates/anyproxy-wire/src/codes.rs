//! The code spaces of `docs/protocol.md` sections 5 and 11.
//!
//! They are separate types because equal numbers mean different things in each. Code 0 is
//! "abandoned" in the first three: a transport may send it when a handle is merely dropped, so
//! nothing may be concluded from it. A code that this version does not know is a failure whose
//! cause is unknown; it never makes a frame illegal.

use std::fmt;

macro_rules! codes {
    (
        $(#[$about:meta])*
        $name:ident, unknown $unknown:ident {
            $($(#[$case:meta])* $variant:ident = $number:literal $text:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$case])* $variant = $number,)*
        }

        impl $name {
            /// Every code of this space, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            #[doc = concat!("The code with this number; an unknown one is [`Self::", stringify!($unknown), "`].")]
            pub const fn from_u64(number: u64) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::$unknown,
                }
            }

            /// The number on the wire.
            pub const fn as_u64(self) -> u64 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

codes! {
    /// Why a tunnel was closed.
    CloseCode, unknown Internal {
        /// The handle was dropped; says nothing.
        Abandoned = 0 "abandoned",
        /// The peer shuts down.
        Shutdown = 1 "shutdown",
        /// The peer broke the protocol.
        Protocol = 2 "protocol error",
        /// A length was over its limit.
        TooLarge = 3 "frame too large",
        /// The peer sent more than it was granted.
        FlowControl = 4 "flow control",
        /// Unknown principal or wrong proof.
        Unauthorised = 5 "unauthorised",
        /// The handshake took too long.
        TooSlow = 6 "handshake too slow",
        /// No protocol version or authentication method in common.
        NoCommonVersion = 7 "no common version or method",
        /// A newer session took this one's place.
        Superseded = 8 "superseded",
        /// Nothing was received for too long.
        PeerDead = 9 "peer is dead",
        /// A limit on sessions, tunnels or the like.
        OverLimit = 10 "over a limit",
        /// A fault of the closing side.
        Internal = 11 "internal",
        /// The session to join does not exist.
        NoSuchSession = 12 "no such session",
    }
}

codes! {
    /// Why one direction of a data stream was reset or stopped.
    StreamCode, unknown Internal {
        /// The handle was dropped; says nothing.
        Abandoned = 0 "abandoned",
        /// The sender no longer wants it.
        Cancelled = 1 "cancelled",
        /// The private target reset its connection.
        TargetReset = 2 "target reset",
        /// The public user reset its connection.
        UserGone = 3 "user gone",
        /// The tunnel under it was lost.
        TunnelLost = 4 "tunnel lost",
        /// The reader rested while memory was short.
        Stalled = 5 "stalled",
        /// No bytes within the configured time.
        Idle = 6 "idle",
        /// The process shuts down.
        Shutdown = 7 "shutdown",
        /// The open failed, so the direction has no use.
        OpenFailed = 8 "open failed",
        /// A fault of the resetting side.
        Internal = 9 "internal",
        /// The stream's own bytes broke the protocol.
        Protocol = 10 "protocol error",
    }
}

codes! {
    /// The answer to an `Open`.
    OpenCode, unknown Internal {
        /// The handle was dropped; says nothing.
        Abandoned = 0 "abandoned",
        /// The target is connected; bytes may flow.
        Connected = 1 "connected",
        /// The target refused the connection.
        Refused = 2 "refused by the target",
        /// The name does not exist.
        NameNotFound = 3 "name not found",
        /// The acceptor's policy forbids the target.
        Denied = 4 "denied by policy",
        /// No route to the host.
        HostUnreachable = 5 "host unreachable",
        /// No route to the network.
        NetworkUnreachable = 6 "network unreachable",
        /// Resolving and dialling took too long.
        TimedOut = 7 "timed out",
        /// The target reset while connecting.
        Reset = 8 "reset while connecting",
        /// The acceptor has no room.
        Overloaded = 9 "overloaded",
        /// The acceptor takes no new streams.
        Draining = 10 "draining",
        /// No forward with this id.
        UnknownForward = 11 "unknown forward",
        /// The target's text makes no sense.
        BadTarget = 12 "bad target",
        /// A fault of the acceptor.
        Internal = 13 "internal",
        /// The resolver gave no answer; another try may.
        LookupFailed = 14 "name lookup failed for now",
    }
}

codes! {
    /// The answer to a `ForwardRequest`. An unknown code counts as "the system refused".
    ForwardCode, unknown System {
        /// The port listens.
        Bound = 0 "bound",
        /// The group may not bind this address.
        NotAllowed = 1 "not allowed for this group",
        /// Another group holds the port.
        HeldByOther = 2 "held by another group",
        /// The operating system refused.
        System = 3 "the system refused",
        /// The listen address makes no sense.
        InvalidAddress = 4 "invalid address",
        /// Too many forwards.
        Limit = 5 "limit reached",
        /// The gateway does not offer this.
        NotSupported = 6 "not supported",
    }
}
