//! One body of a test, over both transports, on the simulated network and on real sockets.

use std::time::Duration;

use anyproxy_runtime::Deadline;

/// Longer than anything that a test waits for on the paused clock, where it passes at once.
pub const TOO_LONG_SIMULATED: Duration = Duration::from_secs(3600);
/// Longer than any test takes on real sockets.
pub const TOO_LONG: Duration = Duration::from_secs(60);

/// Lets a test that waits in vain fail.
///
/// # Panics
/// When `case` takes longer than `limit`.
pub async fn limited(limit: Duration, case: impl Future<Output = ()>) {
    Deadline::after(limit).bound(case).await.expect("it waits in vain");
}

/// Makes the tests of cases that take a simulated site and a transport.
#[macro_export]
macro_rules! simulated {
    ($($case:ident)+) => { $(
        mod $case {
            use $crate::lab::Site;
            use anyproxy_transport::Transport;

            #[tokio::test(start_paused = true)]
            async fn over_quic_simulated() {
                $crate::cases::limited($crate::cases::TOO_LONG_SIMULATED, super::$case(Site::simulated().0, Transport::Quic)).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_websocket_simulated() {
                $crate::cases::limited($crate::cases::TOO_LONG_SIMULATED, super::$case(Site::simulated().0, Transport::WebSocket)).await;
            }
        }
    )+ };
}

/// Makes the tests of cases that take any site and a transport.
#[macro_export]
macro_rules! everywhere {
    ($($case:ident)+) => { $(
        mod $case {
            use $crate::lab::Site;
            use anyproxy_transport::Transport;

            #[tokio::test]
            async fn over_quic() {
                $crate::cases::limited($crate::cases::TOO_LONG, super::$case(Site::loopback(), Transport::Quic)).await;
            }

            #[tokio::test]
            async fn over_websocket() {
                $crate::cases::limited($crate::cases::TOO_LONG, super::$case(Site::loopback(), Transport::WebSocket)).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_quic_simulated() {
                $crate::cases::limited($crate::cases::TOO_LONG_SIMULATED, super::$case(Site::simulated().0, Transport::Quic)).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_websocket_simulated() {
                $crate::cases::limited($crate::cases::TOO_LONG_SIMULATED, super::$case(Site::simulated().0, Transport::WebSocket)).await;
            }
        }
    )+ };
}
