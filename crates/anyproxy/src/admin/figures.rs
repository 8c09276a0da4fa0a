//! What gateway and client have in common, as metrics.

use std::{collections::BTreeMap, time::Duration};

use anyproxy_admin::{
    Buckets, Family, Number, Page, Process, Readiness, Recent, Status, catalogue, status::SHAPE,
};
use anyproxy_transport::{LedgerFigures, OpensFigures, Stats, Totals};
use anyproxy_wire::message::Ingress;

/// What this program calls itself.
pub(super) const SOFTWARE: &str = concat!("anyproxy/", env!("CARGO_PKG_VERSION"));

/// The start of a status.
pub(super) fn status(
    role: &str,
    process: &Process,
    readiness: Readiness,
    recent: &Recent,
) -> Status {
    let not_ready = match readiness {
        Readiness::Ready => None,
        Readiness::NotReady(why) => Some(why),
    };
    Status {
        shape: SHAPE,
        role: role.into(),
        software: SOFTWARE.into(),
        pid: std::process::id(),
        started_at: process.started_at(),
        at: Process::starts().started_at(),
        cpu_seconds: process.cpu_seconds(),
        ready: not_ready.is_none(),
        not_ready,
        messages: recent.messages(),
        ..Status::default()
    }
}

/// What runs, and how it is.
pub(super) fn build(page: &mut Page, role: &str, readiness: &Readiness, recent: &Recent) {
    page.family(&catalogue::BUILD, [([env!("CARGO_PKG_VERSION"), role], Number::Whole(1))]);
    page.single(&catalogue::READY, u64::from(*readiness == Readiness::Ready));
    let (warnings, errors) = recent.counts();
    let counts = [(["warning"], warnings.into()), (["error"], errors.into())];
    page.family(&catalogue::WARNINGS, counts);
}

/// One of a tunnel's figures.
type Take = fn(&Totals) -> Number;

/// All tunnels.
pub(super) fn tunnels(page: &mut Page, figures: &LedgerFigures) {
    let of: [(&Family, Take); 7] = [
        (&catalogue::TUNNELS, |it| it.live.into()),
        (&catalogue::TUNNELS_MADE, |it| it.made.into()),
        (&catalogue::SENT_BYTES, |it| it.sent.into()),
        (&catalogue::RECEIVED_BYTES, |it| it.received.into()),
        (&catalogue::SENT_PACKETS, |it| it.sent_packets.into()),
        (&catalogue::LOST_PACKETS, |it| it.lost_packets.into()),
        (&catalogue::TUNNEL_DATAGRAMS_DROPPED, |it| it.dropped_datagrams.into()),
    ];
    for (family, number) in of {
        let samples = figures.totals.iter().map(|(group, transport, totals)| {
            ([group.to_string(), transport.to_string()], number(totals))
        });
        page.family(family, samples);
    }
    let losses = figures.losses.iter().map(|(transport, loss, count)| {
        ([transport.to_string(), loss.by.into(), loss.reason.clone()], (*count).into())
    });
    page.family(&catalogue::TUNNELS_ENDED, losses);
}

/// All opens.
pub(super) fn opens(page: &mut Page, figures: &OpensFigures) {
    let samples = figures
        .counts
        .iter()
        .map(|it| ([ingress(it.ingress).to_owned(), it.outcome.to_string()], it.count.into()));
    page.family(&catalogue::OPENS, samples);
    let took = &figures.took;
    let up_to = took.buckets.iter().map(|(bound, count)| (bound.as_secs_f64(), *count)).collect();
    let buckets = Buckets { up_to, count: took.count, sum: took.sum.as_secs_f64() };
    page.histogram(&catalogue::OPEN_SECONDS, &buckets);
}

/// Round-trip times and loss of sessions, put together by group. Each session is looked at once.
pub(super) fn quality<'a>(page: &mut Page, sessions: impl Iterator<Item = (&'a str, Stats)>) {
    let mut groups = BTreeMap::<_, [Vec<f64>; 2]>::new();
    for (group, stats) in sessions {
        let [rtts, losses] = groups.entry(group).or_default();
        rtts.extend(rtt(&stats));
        losses.extend(loss(&stats));
    }
    let (mut rtts, mut losses) = (Vec::new(), Vec::new());
    for (group, [rtt, loss]) in groups {
        let of_group = |(of, number): (&'static str, f64)| ([group, of], Number::Real(number));
        rtts.extend(summary(rtt).into_iter().map(of_group));
        losses.extend(summary(loss).into_iter().map(of_group));
    }
    page.family(&catalogue::RTT, rtts);
    page.family(&catalogue::LOSS, losses);
}

/// The round-trip time in seconds, once it is measured.
pub(super) fn rtt(stats: &Stats) -> Option<f64> {
    (stats.rtt > Duration::ZERO).then_some(stats.rtt.as_secs_f64())
}

/// Packets lost of those sent, where that is known.
#[allow(clippy::cast_precision_loss, reason = "a ratio is shown with few digits")]
pub(super) fn loss(stats: &Stats) -> Option<f64> {
    (stats.sent_packets > 0).then(|| stats.lost_packets as f64 / stats.sent_packets as f64)
}

fn summary(mut numbers: Vec<f64>) -> Vec<(&'static str, f64)> {
    numbers.sort_unstable_by(f64::total_cmp);
    let median = numbers.get(numbers.len().saturating_sub(1) / 2);
    let of = [("min", numbers.first()), ("median", median), ("max", numbers.last())];
    of.into_iter().filter_map(|(name, number)| Some((name, *number?))).collect()
}

fn ingress(ingress: Ingress) -> &'static str {
    match ingress {
        Ingress::HttpRequest => "http",
        Ingress::HttpConnect => "connect",
        Ingress::Socks5 => "socks5",
        Ingress::Forward => "forward",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_put_together() {
        let at = |millis| Stats { rtt: Duration::from_millis(millis), ..Stats::default() };
        let sessions = [("b", at(30)), ("a", at(0)), ("b", at(10)), ("b", at(20)), ("b", at(0))];
        let mut page = Page::new();
        // One that can be gone through once only.
        let mut sessions = sessions.into_iter();
        quality(&mut page, std::iter::from_fn(move || sessions.next()));
        let text = page.into_text();
        let samples = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        assert_eq!(
            samples,
            [
                "anyproxy_rtt_seconds{group=\"b\",of=\"min\"} 0.01",
                "anyproxy_rtt_seconds{group=\"b\",of=\"median\"} 0.02",
                "anyproxy_rtt_seconds{group=\"b\",of=\"max\"} 0.03",
            ]
        );
    }
}
