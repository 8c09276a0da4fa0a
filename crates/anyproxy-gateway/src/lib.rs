//! The public side of AnyProxy.
//!
//! ```text
//! users ─▶ ingress (HTTP, SOCKS5, forwarded ports) ─▶ registry ─▶ session ─▶ tunnel ─▶ client
//! ```
//!
//! [`Gateway::start`] binds everything or nothing; [`Gateway::shutdown`] ends it in order.

mod certified;
mod config;
mod credentials;
mod doors;
mod enrolment;
mod figures;
mod flows;
mod gateway;
mod goodbyes;
mod groups;
mod handshakes;
pub mod ingress;
mod ports;
mod registry;
mod session;
mod tally;
mod view;

pub use config::{
    Credential, GatewayConfig, GroupConfig, GroupLimits, HttpsConfig, Limits, PortRule, UserConfig,
};
pub use credentials::{Credentials, FailedLoginFigures, PasswordChecks};
pub use enrolment::{Enrolments, NoEnrolments, NotEnrolled, Token, Wish};
pub use figures::{DroppedDatagrams, FlowFigures};
pub use gateway::{Addresses, Ended, Gateway, StartError};
pub use ports::{PortFigures, listen_address};
pub use registry::{GroupFigures, Registry, SessionFigures};
pub use tally::NoSession;
pub use view::{GatewayFigures, Watched};
