//! Types and readers of single values, shared by flags, environment and files.
//!
//! Each reader takes the text that a person wrote and returns a runtime type or a
//! [`Problem`](crate::config::Problem) that says what is expected, with an example.

mod address;
mod choices;
mod forwards;
mod names;
mod units;

pub use address::{HostPort, Listeners, listen, server_name};
pub use choices::{ClientTransport, GatewayTransport, LogFormat, LogRotation, Method, choice};
pub use forwards::{ForwardFlag, ForwardRule};
pub use names::{client_id, forward_name, group_name, ws_path};
pub use units::{duration, size};
