use anyproxy_transport::tls::Identity;
use anyproxy_wire::handshake::Secret;
use tempfile::TempDir;

use super::*;
use crate::{
    certs::{Authority, Voucher},
    groups::Credential,
    store::Store,
};

fn listens(listen: Option<&str>, advertise: Option<&str>) -> Result<String, String> {
    let args = GatewayArgs {
        listen: listen.map(|text| text.parse().unwrap()),
        advertise: advertise.map(|text| text.parse().unwrap()),
        ..GatewayArgs::default()
    };
    super::listen(&args)
        .map(|addr| addr.to_string())
        .map_err(|error| format!("{error} {}", error.fix().unwrap_or_default()))
}

#[test]
fn nothing_is_open_to_others_unless_somebody_says_where_they_are() {
    for (listen, advertise, expected) in [
        (None, None, "127.0.0.1:8443"),
        (None, Some("localhost:9000"), "127.0.0.1:9000"),
        (None, Some("127.0.0.1:9000"), "127.0.0.1:9000"),
        (None, Some("127.0.0.2:9000"), "127.0.0.2:9000"),
        (None, Some("[::1]:9000"), "[::1]:9000"),
        (None, Some("192.0.2.1:9000"), "[::]:9000"),
        (None, Some("gw.example.com:9000"), "[::]:9000"),
        (Some("[::1]:1"), None, "[::1]:1"),
        (Some("0.0.0.0:1"), Some("gw.example.com:2"), "0.0.0.0:1"),
    ] {
        assert_eq!(listens(listen, advertise).unwrap(), expected);
    }
    for listen in ["0.0.0.0:8443", "[::]:8443", "192.0.2.1:8443"] {
        let error = listens(Some(listen), None).unwrap_err();
        assert!(error.starts_with("--listen: ") && error.contains("--advertise"), "{error}");
    }
}

/// Three are what a service manager and an impatient person make; more find more.
#[test]
fn first_starts_at_once_make_one_gateway() {
    for _ in 0..5 {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("a/b");
        let args = GatewayArgs { data_dir: Some(data.clone()), ..GatewayArgs::default() };
        std::thread::scope(|scope| {
            let starts: Vec<_> = (0..6).map(|_| scope.spawn(|| prepare(&args))).collect();
            for start in starts {
                start.join().unwrap().unwrap().unwrap();
            }
        });
        let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
        let authority = Authority::from_pem(&read("ca.crt"), &read("ca.key")).unwrap();
        let chain = read("gateway.crt");
        assert_eq!(
            Voucher::of_pem(chain.as_bytes()),
            Voucher::Own(authority.pin().unwrap()),
            "of this CA"
        );
        Identity::from_pem(chain.as_bytes(), read("gateway.key").as_bytes()).unwrap();
        let groups = Store::create(&data).unwrap().groups().unwrap();
        let password = Credential::of(&Secret::new(read("default.password").trim_end()));
        assert!(groups.len() == 1 && groups[0].users[0].password == password);
        let left = std::fs::read_dir(&data).unwrap().map(|it| it.unwrap().file_name());
        let left = left.filter(|name| name.to_string_lossy().ends_with(".new"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
    }
}
