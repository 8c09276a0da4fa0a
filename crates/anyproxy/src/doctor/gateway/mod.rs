//! Checks of a gateway, none of which starts or changes anything.

mod certificate;
mod data;
mod doors;
mod exposure;
mod holder;

use super::{Finding, Report, Surroundings, machine};
use crate::{settings::GatewaySettings, values::GatewayTransport};

/// Checks a gateway with these settings. A port is bound for a moment, unless somebody has it.
#[allow(clippy::unused_async, reason = "sockets are made within the runtime, as those of a start")]
pub async fn examine(settings: GatewaySettings, here: &Surroundings) -> Report {
    let mut report = Report::new("gateway");
    report.add(groups(&settings));
    report.extend(certificate::examine(&settings, here.now));
    report.extend(doors::examine(&settings, here));
    report.add(exposure::examine(&settings));
    report.add(match settings.transport {
        GatewayTransport::Ws => Finding::skip("udp_buffers", "transport = \"ws\" uses no UDP"),
        GatewayTransport::Quic | GatewayTransport::Both => machine::udp_buffers(here),
    });
    report.add(machine::files(here));
    report.add(data::examine(&settings));
    report.add(clock(here));
    report
}

fn groups(settings: &GatewaySettings) -> Finding {
    let count = settings.groups.len().saturating_add(settings.stored.len());
    let value = if count == 1 { "1 group".to_owned() } else { format!("{count} groups") };
    if count == 0 {
        return Finding::warn("groups", format!("{value}: no client can connect"))
            .fix("anyproxy group add NAME --config FILE");
    }
    Finding::ok("groups", value)
}

fn clock(here: &Surroundings) -> Finding {
    let value = format!("it says {}", machine::date(here.now));
    machine::unset_clock(here.now).unwrap_or_else(|| Finding::ok("clock", value))
}
