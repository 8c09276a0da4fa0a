use std::net::IpAddr;

use crate::egress::{
    Denial, List, Policy, RuleError,
    name::Name,
    policy::{Origin, Request},
};

pub(super) fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Policy::parse(&own(allow), &own(deny)).unwrap()
}

/// Asks by `name` (empty: by address) for `ip` at `port`.
fn verdict(policy: &Policy, name: &str, ip: &str, port: u16) -> Result<(), Denial> {
    check(policy, name, ip, (port, Origin::User))
}

fn check(policy: &Policy, name: &str, ip: &str, at: (u16, Origin)) -> Result<(), Denial> {
    let name = Name::parse(name).ok();
    let request = Request { name: name.as_ref(), port: at.0, origin: at.1 };
    if request.name.is_some() {
        policy.check_name(request)?;
    }
    policy.check(request, ip.parse::<IpAddr>().unwrap())
}

fn listed(rule: &str) -> Result<(), Denial> {
    Err(Denial::Listed(rule.to_owned()))
}

#[test]
fn a_bad_entry_names_its_list_and_what_is_wrong() {
    let bad = |allow: &[&str], deny: &[&str]| {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Policy::parse(&own(allow), &own(deny)).unwrap_err()
    };
    let error = bad(&["ok", "10.0.0.1/8"], &[]);
    assert_eq!(error.list, List::Allow);
    assert_eq!(
        error.to_string(),
        "allow list, entry \"10.0.0.1/8\": it has bits after its prefix: did you mean 10.0.0.0/8?"
    );
    let error = bad(&["ok"], &["127.1"]);
    assert_eq!((error.list, error.problem), (List::Deny, RuleError::Number));
}

#[test]
fn precedence() {
    type Case = (&'static [&'static str], &'static [&'static str], &'static str, &'static str, u16);
    let table: &[(Case, Result<(), Denial>)] = &[
        // Empty lists allow.
        ((&[], &[], "", "10.0.0.1", 80), Ok(())),
        ((&[], &[], "db.corp", "10.0.0.1", 80), Ok(())),
        // An allow list shuts everything else out.
        ((&["10.0.0.0/8"], &[], "", "10.0.0.1", 80), Ok(())),
        ((&["10.0.0.0/8"], &[], "", "11.0.0.1", 80), Err(Denial::NotListed)),
        ((&["10.0.0.0/8:443"], &[], "", "10.0.0.1", 80), Err(Denial::NotListed)),
        ((&["*:443"], &[], "", "11.0.0.1", 443), Ok(())),
        ((&["*:443"], &[], "a.b", "11.0.0.1", 80), Err(Denial::NotListed)),
        // By name: wherever the name leads.
        ((&["*.corp"], &[], "db.corp", "10.0.0.1", 80), Ok(())),
        ((&["*.corp"], &[], "db.evil", "10.0.0.1", 80), Err(Denial::NotListed)),
        ((&["*.corp"], &[], "", "10.0.0.1", 80), Err(Denial::NotListed)),
        ((&["*.corp", "10.0.0.0/8"], &[], "db.evil", "10.0.0.1", 80), Ok(())),
        // Deny wins, by name or by address, over either kind of allow.
        ((&["db.corp"], &["10.0.0.1"], "db.corp", "10.0.0.1", 80), listed("10.0.0.1")),
        ((&["db.corp"], &["10.0.0.1"], "db.corp", "10.0.0.2", 80), Ok(())),
        ((&["10.0.0.0/8"], &["db.corp"], "db.corp", "10.0.0.1", 80), listed("db.corp")),
        ((&["db.corp"], &["*.corp"], "db.corp", "10.0.0.1", 80), listed("*.corp")),
        ((&["10.0.0.1"], &["10.0.0.0/8"], "", "10.0.0.1", 80), listed("10.0.0.0/8")),
        ((&["*"], &["*:22"], "", "10.0.0.1", 22), listed("*:22")),
        ((&["*"], &["*:22"], "", "10.0.0.1", 23), Ok(())),
        ((&[], &["10.0.0.0/8:8000-9000"], "", "10.0.0.1", 8500), listed("10.0.0.0/8:8000-9000")),
        ((&[], &["10.0.0.0/8:8000-9000"], "", "10.0.0.1", 9001), Ok(())),
        // A name deny is about the name only.
        ((&[], &["db.corp"], "", "10.0.0.1", 80), Ok(())),
        // `localhost` is the name and the addresses.
        ((&[], &["localhost"], "", "127.0.0.1", 80), listed("localhost")),
        ((&[], &["localhost"], "evil.example", "::1", 80), listed("localhost")),
        ((&["localhost"], &[], "", "::1", 80), Ok(())),
        ((&["localhost"], &[], "evil.example", "10.0.0.1", 80), Err(Denial::NotListed)),
    ];
    for ((allow, deny, name, ip, port), expected) in table {
        let verdict = verdict(&policy(allow, deny), name, ip, *port);
        assert_eq!(&verdict, expected, "allow {allow:?} deny {deny:?}: {name} {ip} {port}");
    }
}

const BUILT_IN: &[&str] = &[
    "0.0.0.0",
    "::",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.23",
    "fe80::1",
    "febf::1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "255.255.255.255",
];

fn is_built_in(verdict: &Result<(), Denial>) -> bool {
    matches!(verdict, Err(Denial::BuiltIn(..)))
}

#[test]
fn built_in_denies_hold_unless_the_address_is_listed() {
    for ip in BUILT_IN {
        for allow in [&[][..], &["*"], &["*:80"], &["0.0.0.0/0", "::/0"], &["db.corp"]] {
            let policy = policy(allow, &[]);
            assert!(is_built_in(&verdict(&policy, "db.corp", ip, 80)), "{allow:?} {ip}");
            let configured = check(&policy, "db.corp", ip, (80, Origin::Configuration));
            assert!(is_built_in(&configured), "{allow:?} {ip}");
        }
        let entry = if ip.contains(':') { format!("[{ip}]") } else { (*ip).to_owned() };
        assert_eq!(verdict(&policy(&[&entry], &[]), "", ip, 80), Ok(()));
        assert_eq!(verdict(&policy(&["*", &entry], &[]), "db.corp", ip, 80), Ok(()));
        assert_eq!(verdict(&policy(&[&format!("{entry}:80")], &[]), "", ip, 80), Ok(()));
        assert!(is_built_in(&verdict(&policy(&[&format!("{entry}:81")], &[]), "", ip, 80)));
        assert_eq!(verdict(&policy(&[&entry], &[&entry]), "", ip, 80), listed(&entry));
    }
}

#[test]
fn a_network_lifts_a_built_in_deny_only_if_it_is_no_wider() {
    let lifted = |allow: &str, ip: &str| verdict(&policy(&[allow], &[]), "", ip, 80);
    assert_eq!(lifted("169.254.0.0/16", "169.254.169.254"), Ok(()));
    assert_eq!(lifted("169.254.169.0/24", "169.254.169.254"), Ok(()));
    assert!(is_built_in(&lifted("169.254.169.0/24", "169.254.1.1")));
    assert!(is_built_in(&lifted("169.0.0.0/8", "169.254.169.254")));
    assert!(is_built_in(&lifted("fd00::/8", "fd00:ec2::254")));
    assert!(is_built_in(&lifted("100.64.0.0/10", "100.100.100.200")));
}

#[test]
fn loopback_and_private_addresses_are_allowed_by_default() {
    for ip in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "fd00::1", "8.8.8.8"] {
        assert_eq!(verdict(&Policy::default(), "", ip, 80), Ok(()), "{ip}");
    }
}

#[test]
fn configured_targets_need_no_allow_entry_but_every_deny_holds() {
    let at = (80, Origin::Configuration);
    let policy = policy(&["10.0.0.0/8"], &["192.168.0.0/16", "*.evil"]);
    assert_eq!(check(&policy, "", "172.16.0.1", at), Ok(()));
    assert_eq!(check(&policy, "web.lan", "172.16.0.1", at), Ok(()));
    assert_eq!(check(&policy, "", "192.168.0.1", at), listed("192.168.0.0/16"));
    assert_eq!(check(&policy, "web.evil", "172.16.0.1", at), listed("*.evil"));
}

#[test]
fn a_transition_address_loses_by_what_it_carries_and_never_gains() {
    for ip in ["64:ff9b::a00:1", "2002:a00:1::1", "::ffff:0:a00:1"] {
        assert_eq!(verdict(&policy(&[], &["10.0.0.0/8"]), "", ip, 80), listed("10.0.0.0/8"));
        assert_eq!(verdict(&policy(&["10.0.0.0/8"], &[]), "", ip, 80), Err(Denial::NotListed));
        assert_eq!(verdict(&policy(&["::/0"], &[]), "", ip, 80), Ok(()));
    }
    let metadata = "64:ff9b::a9fe:a9fe";
    assert!(is_built_in(&verdict(&policy(&["64:ff9b::/96"], &[]), "", metadata, 80)));
    let both = policy(&["64:ff9b::/96", "169.254.169.254"], &[]);
    assert_eq!(verdict(&both, "", metadata, 80), Ok(()));
}

#[test]
fn a_name_that_no_rule_could_let_through_is_not_looked_up() {
    let ask = |policy: &Policy, name: &str, origin| {
        let name = Name::parse(name).unwrap();
        policy.check_name(Request { name: Some(&name), port: 80, origin })
    };
    let names_only = policy(&["*.corp", "10.0.0.0/8:443"], &[]);
    assert_eq!(ask(&names_only, "secret.evil", Origin::User), Err(Denial::NotListed));
    assert_eq!(ask(&names_only, "secret.evil", Origin::Configuration), Ok(()));
    assert_eq!(ask(&names_only, "db.corp", Origin::User), Ok(()));
    assert_eq!(ask(&policy(&["10.0.0.0/8"], &[]), "db.corp", Origin::User), Ok(()));
}
