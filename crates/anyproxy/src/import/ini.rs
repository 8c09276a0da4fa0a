//! The INI files of older versions of frp, as the tables that newer ones have.
//!
//! `[common]` is the program itself, `[plugin.NAME]` of a server something that it asks about its clients, and every other section
//! a proxy or, with `role = visitor`, a visitor.
//! The keys became camelCase in frp 0.52, and some moved into tables.

use serde_json::{Map, Value, json};

/// Keys that moved, or are spelled otherwise, and where to.
const MOVED: [(&str, &str); 46] = [
    ("token", "auth.token"),
    ("privilege_token", "auth.token"),
    ("authentication_method", "auth.method"),
    ("authenticate_heartbeats", "auth.additionalScopes"),
    ("authenticate_new_work_conns", "auth.additionalScopes"),
    ("log_file", "log.to"),
    ("log_level", "log.level"),
    ("log_max_days", "log.maxDays"),
    ("disable_log_color", "log.disablePrintColor"),
    ("protocol", "transport.protocol"),
    ("http_proxy", "transport.proxyURL"),
    ("connect_server_local_ip", "transport.connectServerLocalIP"),
    ("dial_server_timeout", "transport.dialServerTimeout"),
    ("dial_server_keepalive", "transport.dialServerKeepalive"),
    ("pool_count", "transport.poolCount"),
    ("max_pool_count", "transport.maxPoolCount"),
    ("tcp_mux", "transport.tcpMux"),
    ("tcp_mux_keepalive_interval", "transport.tcpMuxKeepaliveInterval"),
    ("tcp_keepalive", "transport.tcpKeepalive"),
    ("heartbeat_interval", "transport.heartbeatInterval"),
    ("heartbeat_timeout", "transport.heartbeatTimeout"),
    ("quic_keepalive_period", "transport.quic.keepalivePeriod"),
    ("quic_max_idle_timeout", "transport.quic.maxIdleTimeout"),
    ("quic_max_incoming_streams", "transport.quic.maxIncomingStreams"),
    ("tls_enable", "transport.tls.enable"),
    ("tls_only", "transport.tls.force"),
    ("tls_cert_file", "transport.tls.certFile"),
    ("tls_key_file", "transport.tls.keyFile"),
    ("tls_trusted_ca_file", "transport.tls.trustedCaFile"),
    ("tls_server_name", "transport.tls.serverName"),
    ("disable_custom_tls_first_byte", "transport.tls.disableCustomTLSFirstByte"),
    ("assets_dir", "webServer.assetsDir"),
    ("pprof_enable", "webServer.pprofEnable"),
    ("vhost_http_port", "vhostHTTPPort"),
    ("vhost_https_port", "vhostHTTPSPort"),
    ("vhost_http_timeout", "vhostHTTPTimeout"),
    ("subdomain_host", "subDomainHost"),
    ("tcpmux_httpconnect_port", "tcpmuxHTTPConnectPort"),
    ("nat_hole_analysis_data_reserve_hours", "natholeAnalysisDataReserveHours"),
    ("use_encryption", "transport.useEncryption"),
    ("use_compression", "transport.useCompression"),
    ("bandwidth_limit", "transport.bandwidthLimit"),
    ("bandwidth_limit_mode", "transport.bandwidthLimitMode"),
    ("proxy_protocol_version", "transport.proxyProtocolVersion"),
    ("group", "loadBalancer.group"),
    ("group_key", "loadBalancer.groupKey"),
];

/// Beginnings of keys that became tables.
const TABLES: [(&str, &str); 5] = [
    ("oidc_", "auth.oidc."),
    ("dashboard_", "webServer."),
    ("admin_", "webServer."),
    ("health_check_", "healthCheck."),
    ("meta_", "metadatas."),
];

/// What a section for a plugin of the server does not have, but one for a proxy that is called like it.
const OF_PROXIES: [&str; 3] = ["type", "localPort", "remotePort"];

/// Reads `text`. The error is for a person.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut root = Map::new();
    let (mut proxies, mut visitors, mut plugins) = (vec![], vec![], vec![]);
    for (name, mut section) in sections(text)? {
        if name == "common" {
            root.append(&mut section);
            continue;
        }
        section.insert("name".into(), json!(name));
        let is_visitor = section.remove("role").is_some_and(|role| role == "visitor");
        let is_proxy = OF_PROXIES.iter().any(|key| section.contains_key(*key));
        let list = match name.starts_with("plugin.") && !is_proxy {
            _ if is_visitor => &mut visitors,
            true => &mut plugins,
            false => &mut proxies,
        };
        list.push(Value::Object(section));
    }
    if let Some(Value::String(ports)) = root.remove("allowPorts") {
        root.insert("allowPorts".into(), allow_ports(&ports));
    }
    for (key, list) in [("proxies", proxies), ("visitors", visitors), ("httpPlugins", plugins)] {
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
    let path = path(key);
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

/// Where newer versions have `key`.
fn path(key: &str) -> String {
    if let Some((_, new)) = MOVED.iter().find(|(old, _)| *old == key) {
        return (*new).to_owned();
    }
    let of_table = |(old, table)| Some(format!("{table}{}", camel_case(key.strip_prefix(old)?)));
    TABLES.into_iter().find_map(of_table).unwrap_or_else(|| camel_case(key))
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
        let text =
            "[common]\nadmin_port = 1\nmeta_a = b\n[plugin.x]\naddr = a\n[plugin.y]\ntype = tcp\n";
        let value = json!({
            "webServer": {"port": "1"}, "metadatas": {"a": "b"},
            "httpPlugins": [{"name": "plugin.x", "addr": "a"}],
            "proxies": [{"name": "plugin.y", "type": "tcp"}],
        });
        assert_eq!(parse(text).unwrap(), value);
        assert!(parse("a = b").is_err() && parse("[common]\nno pair").is_err());
    }
}
