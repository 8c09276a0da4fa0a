//! The INI files of older versions of frp, as the tables that newer ones have.
//!
//! `[common]` is the program itself, every other section a proxy or, with `role = visitor`, a visitor.
//! The keys became camelCase in frp 0.52, and some moved into tables.

use serde_json::{Map, Value, json};

/// Keys that moved, and where to.
const MOVED: [(&str, &str); 22] = [
    ("token", "auth.token"),
    ("authentication_method", "auth.method"),
    ("log_file", "log.to"),
    ("log_level", "log.level"),
    ("log_max_days", "log.maxDays"),
    ("protocol", "transport.protocol"),
    ("http_proxy", "transport.proxyURL"),
    ("pool_count", "transport.poolCount"),
    ("tcp_mux", "transport.tcpMux"),
    ("tls_enable", "transport.tls.enable"),
    ("tls_only", "transport.tls.force"),
    ("tls_cert_file", "transport.tls.certFile"),
    ("tls_key_file", "transport.tls.keyFile"),
    ("tls_trusted_ca_file", "transport.tls.trustedCaFile"),
    ("tls_server_name", "transport.tls.serverName"),
    ("dashboard_addr", "webServer.addr"),
    ("dashboard_port", "webServer.port"),
    ("dashboard_user", "webServer.user"),
    ("dashboard_pwd", "webServer.password"),
    ("use_encryption", "transport.useEncryption"),
    ("use_compression", "transport.useCompression"),
    ("proxy_protocol_version", "transport.proxyProtocolVersion"),
];

/// Reads `text`. The error is for a person.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut root = Map::new();
    let (mut proxies, mut visitors) = (vec![], vec![]);
    for (name, mut section) in sections(text)? {
        if name == "common" {
            root.append(&mut section);
            continue;
        }
        section.insert("name".into(), json!(name));
        let is_visitor = section.remove("role").is_some_and(|role| role == "visitor");
        if is_visitor { &mut visitors } else { &mut proxies }.push(Value::Object(section));
    }
    if let Some(Value::String(ports)) = root.remove("allowPorts") {
        root.insert("allowPorts".into(), allow_ports(&ports));
    }
    for (key, list) in [("proxies", proxies), ("visitors", visitors)] {
        if !list.is_empty() {
            root.insert(key.into(), Value::Array(list));
        }
    }
    Ok(Value::Object(root))
}

type Section = (String, Map<String, Value>);

fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = vec![];
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((name.trim().into(), Map::new()));
        } else if let (Some((key, value)), Some((_, section))) =
            (line.split_once('='), sections.last_mut())
        {
            put(section, key.trim(), value.trim());
        } else {
            return Err(format!("line {}: this is no INI", number + 1));
        }
    }
    Ok(sections)
}

fn put(section: &mut Map<String, Value>, key: &str, value: &str) {
    let moved = MOVED.iter().find(|(old, _)| *old == key).map(|(_, new)| (*new).to_owned());
    let path = moved.unwrap_or_else(|| camel_case(key));
    let (tables, last) = match path.rsplit_once('.') {
        Some((tables, last)) => (Some(tables), last),
        None => (None, path.as_str()),
    };
    let mut map = section;
    for part in tables.into_iter().flat_map(|tables| tables.split('.')) {
        let table = map.entry(part).or_insert_with(|| json!({}));
        let Value::Object(table) = table else { return };
        map = table;
    }
    map.insert(last.into(), json!(value));
}

fn camel_case(key: &str) -> String {
    let mut parts = key.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| match part {
        "ip" => name + "IP",
        _ => {
            let mut chars = part.chars();
            let head = chars.next().map(|c| c.to_ascii_uppercase());
            name + &head.into_iter().collect::<String>() + chars.as_str()
        }
    })
}

/// `2000-3000,3001` as the newer list.
fn allow_ports(text: &str) -> Value {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let entries = entries.map(|entry| match entry.split_once('-') {
        Some((start, end)) => json!({"start": start.trim(), "end": end.trim()}),
        None => json!({"single": entry}),
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_layout_becomes_the_newer_one() {
        let text = "# x\n[common]\nserver_addr = a\nbind_port=7000\ntoken = t\nallow_ports = 1-2, 3\n\n[ssh]\n\
                    type = tcp\nlocal_ip = 127.0.0.1\nremote_port = 6000\n[v]\nrole = visitor\n";
        let value = json!({
            "serverAddr": "a", "bindPort": "7000", "auth": {"token": "t"},
            "allowPorts": [{"start": "1", "end": "2"}, {"single": "3"}],
            "proxies": [{"name": "ssh", "type": "tcp", "localIP": "127.0.0.1", "remotePort": "6000"}],
            "visitors": [{"name": "v"}],
        });
        assert_eq!(parse(text).unwrap(), value);
        assert!(parse("a = b").is_err() && parse("[common]\nno pair").is_err());
    }
}
