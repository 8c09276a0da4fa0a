//! What a foreign configuration says, in our words.
//!
//! Texts in here were checked by the readers of [`values`](crate::values), so that our own loader accepts what is
//! written of them.

use std::collections::HashSet;

use super::notes::Notes;
use crate::values::{
    ForwardRule, HostPort, ListenPorts, PortMap, TargetPorts, forward_name, gateway, listen,
};

/// The gateway of a client whose file names none.
pub(super) const NOWHERE: &str = "gateway.invalid";

/// Both sides, as far as the files have them.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) gateway: Option<GatewayDraft>,
    pub(super) client: Option<ClientDraft>,
}

/// A gateway's file.
#[derive(Default)]
pub(super) struct GatewayDraft {
    pub(super) listen: Option<String>,
    pub(super) transport: Option<&'static str>,
    /// Entry points that are as the foreign program has them: key and value.
    pub(super) doors: Vec<(&'static str, String)>,
    pub(super) max_forwards: Option<i64>,
    pub(super) log: LogDraft,
    pub(super) group: GroupDraft,
    pub(super) notes: Notes,
}

/// The group of a gateway's file.
#[derive(Default)]
pub(super) struct GroupDraft {
    pub(super) name: String,
    pub(super) proof: Option<Proof>,
    pub(super) password_file: Option<String>,
    /// Names and the files of their passwords.
    pub(super) users: Vec<(String, String)>,
    pub(super) forwards: Vec<String>,
}

/// What the gateway keeps of a group's secret.
pub(super) enum Proof {
    /// The file that holds it.
    File(String),
    /// A hash of it, for those that a person chose.
    Hash(String),
}

/// A client's file.
#[derive(Default)]
pub(super) struct ClientDraft {
    pub(super) gateway: Option<String>,
    pub(super) transport: Option<&'static str>,
    pub(super) server_name: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) proxy_password_file: Option<String>,
    pub(super) group: String,
    pub(super) client_id: Option<String>,
    pub(super) replicas: Option<i64>,
    /// `password` for secrets that a person chose.
    pub(super) method: Option<&'static str>,
    pub(super) secret_file: String,
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    pub(super) forwards: Vec<ForwardDraft>,
    pub(super) log: LogDraft,
    pub(super) notes: Notes,
}

/// A port to ask for.
#[derive(Clone, Default)]
pub(super) struct ForwardDraft {
    pub(super) name: String,
    pub(super) listen: String,
    pub(super) target: String,
    pub(super) protocol: Option<&'static str>,
    pub(super) proxy_protocol: Option<&'static str>,
}

/// The log of either side.
#[derive(Clone, Default)]
pub(super) struct LogDraft {
    pub(super) level: Option<String>,
    pub(super) json: Option<&'static str>,
    pub(super) file: Option<String>,
    pub(super) keep: Option<i64>,
}

impl Draft {
    /// The name that the gateway's certificate has to carry for the client, or `HOST` where no client's file says it.
    pub(super) fn host(&self) -> String {
        let client = self.client.as_ref();
        let name = client.and_then(|client| {
            let dialled = || Some(gateway(client.gateway.as_deref()?).ok()?.host);
            client.server_name.clone().or_else(dialled)
        });
        name.filter(|name| name != NOWHERE).unwrap_or_else(|| "HOST".into())
    }
}

impl ClientDraft {
    /// Adds a forward that `key` of the foreign file is about, with a name that no other has.
    pub(super) fn forward(&mut self, key: &str, mut forward: ForwardDraft) {
        let pair = forward
            .listen
            .parse::<ListenPorts>()
            .and_then(|listen| PortMap::new(listen, forward.target.parse::<TargetPorts>()?));
        if let Err(problem) = pair {
            return self.notes.add(key, &problem.to_string(), "write a [[forward]] for it");
        }
        let same = |other: &ForwardDraft| {
            (&other.listen, other.protocol) == (&forward.listen, forward.protocol)
                && !other.listen.ends_with(":0")
        };
        if self.forwards.iter().any(same) {
            let why = "another forward has the same port of the gateway";
            return self.notes.add(key, why, "give one of them another port");
        }
        forward.name = self.free_name(&forward.name);
        self.forwards.push(forward);
    }

    /// `name`, made short and printable enough, and another one if it is taken. A range's ports add to it.
    fn free_name(&self, name: &str) -> String {
        let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
        while name.len() > 48 {
            name.pop();
        }
        let name = if forward_name(&name).is_ok() { name } else { "forward".into() };
        let taken: HashSet<_> = self.forwards.iter().map(|other| other.name.as_str()).collect();
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| !taken.contains(name.as_str())).unwrap_or(name)
    }
}

/// Go's addresses to listen on, as ours: `:8080` is every interface, names other than `localhost` are none.
pub(super) fn listen_address(text: &str) -> Option<String> {
    let address = match text.rsplit_once(':')? {
        ("", port) => format!("[::]:{port}"),
        ("localhost", port) => format!("127.0.0.1:{port}"),
        (host, port) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        _ => text.to_owned(),
    };
    listen(&address).ok().map(|_| address)
}

/// `host` and `port` as one, with brackets if need be.
pub(super) fn host_port(host: &str, port: u16) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    HostPort { host: host.into(), port }.to_string()
}

/// A rule of ports, if it is one.
pub(super) fn port_rule(text: &str) -> Option<String> {
    text.parse::<ForwardRule>().ok().map(|rule| rule.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_go() {
        for (text, expected) in [
            (":8080", Some("[::]:8080")),
            ("localhost:80", Some("127.0.0.1:80")),
            ("0.0.0.0:1", Some("0.0.0.0:1")),
            (":::1", Some("[::]:1")),
            ("gw.example.com:80", None),
            ("8080", None),
        ] {
            assert_eq!(listen_address(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn forwards_keep_apart() {
        let mut client = ClientDraft::default();
        let forward = |listen: &str| ForwardDraft {
            name: "a".into(),
            listen: listen.into(),
            target: "h:1".into(),
            ..ForwardDraft::default()
        };
        for listen in ["0.0.0.0:1", "0.0.0.0:2", "0.0.0.0:1", "nowhere"] {
            client.forward("key", forward(listen));
        }
        let names: Vec<_> = client.forwards.iter().map(|forward| &forward.name).collect();
        assert_eq!(names, ["a", "a 2"]);
        assert_eq!(client.notes.lines().count(), 2);
    }
}
