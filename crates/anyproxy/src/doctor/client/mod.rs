//! Checks of a client, in the order in which a connection meets what they are about.

mod certificate;
mod clock;
mod environment;
mod login;
mod own;
mod quic;
mod reach;
mod targets;
mod tried;
mod websocket;

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Examiner, Transport};

use super::{Finding, Report, Surroundings, machine};
use crate::{client::dial_config, settings::ClientSettings, values::ClientTransport};
use tried::{Through, Tried};

/// All checks together end within this time.
const ALL: Duration = Duration::from_secs(18);
/// To resolve, to connect, to shake hands: each takes at most so long.
const STEP: Duration = Duration::from_secs(5);

/// What one transport is to this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It is the only one.
    Only,
    /// The other would do.
    Either,
    /// It is not used.
    None,
}

fn need(settings: &ClientSettings, transport: ClientTransport) -> Need {
    match settings.transport {
        ClientTransport::Auto => Need::Either,
        chosen if chosen == transport => Need::Only,
        ClientTransport::Quic | ClientTransport::Ws => Need::None,
    }
}

/// Checks a client with these settings; takes less than 20 s. It logs in nowhere and disturbs no session.
pub async fn examine(settings: ClientSettings, here: &Surroundings) -> Report {
    let mut report = Report::new("client");
    report.add(environment::examine(&settings, here));
    report.add(machine::files(here));
    report.extend(own::examine(&settings, here.now));
    let config = dial_config(&settings);
    let net = Arc::clone(&here.net);
    let examiner = match Examiner::new(net, config, here.now) {
        Ok(examiner) => examiner,
        Err(error) => {
            report.add(Finding::fail("tls", error.to_string()));
            return report;
        }
    };
    let deadline = Deadline::after(ALL);
    let (ws, udp) = (need(&settings, ClientTransport::Ws), need(&settings, ClientTransport::Quic));
    let (reach, ws, udp, date, targets) = tokio::join!(
        reach::examine(&settings, here, deadline),
        Tried::dial(&examiner, (Transport::WebSocket, ws), deadline),
        Tried::dial(&examiner, (Transport::Quic, udp), deadline),
        examiner.date(deadline.within(STEP)),
        targets::examine(&settings, here, deadline),
    );
    let clock = clock::Reading::new(here.now, date);
    // Of two that would do each, one is enough.
    let through = if ws.works() || udp.works() { Through::Yes } else { Through::No };
    report.extend(reach);
    report.extend(websocket::proxy(&settings, &ws, through));
    report.extend(certificate::examine(&[&ws, &udp], here.now, &clock));
    report.add(websocket::upgrade(&settings, &ws, through));
    report.extend(quic::handshake(&settings, &udp, through, here));
    let narrow = quic::too_narrow(&udp, through, here);
    report.extend(connections(&settings, (ws, udp), narrow, here, deadline).await);
    report.add(clock.finding());
    report.extend(targets);
    report
}

/// What connections tell. The gateway soon turns away who says nothing, so whichever there is logs in first.
async fn connections(
    settings: &ClientSettings,
    (ws, udp): (Tried, Tried),
    narrow: Option<Finding>,
    here: &Surroundings,
    deadline: Deadline,
) -> Vec<Finding> {
    let (ws, udp) = (ws.connected(), udp.connected());
    let host = &settings.gateway.host;
    let (mtu, login) = match (ws, udp) {
        (Some(ws), udp) => {
            let login = login::examine(settings, Some(ws), deadline).await;
            (quic::mtu(host, udp.as_ref(), deadline).await, login)
        }
        (None, udp) => {
            let mtu = quic::mtu(host, udp.as_ref(), deadline).await;
            (mtu, login::examine(settings, udp, deadline).await)
        }
    };
    let buffers = match need(settings, ClientTransport::Quic) {
        Need::None => Finding::skip("udp_buffers", "transport = \"ws\" does not use UDP"),
        Need::Only | Need::Either => machine::udp_buffers(here),
    };
    vec![narrow.unwrap_or(mtu), buffers, login]
}
