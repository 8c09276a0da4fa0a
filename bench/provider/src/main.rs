//! Measures bulk transfer with each rustls crypto provider over QUIC (quinn)
//! and over TLS 1.3 on TCP (tokio-rustls), client and server in one process
//! on loopback.
//!
//! One run moves a fixed number of MiB one way over one stream. Printed per
//! provider, cipher suite and transport: throughput in MiB/s (median, minimum
//! and maximum over the rounds) and CPU seconds per GiB of the whole process,
//! so both encryption and decryption. Handshakes and teardown are not counted.
//!
//! Usage: `provider-bench [MIB_PER_RUN] [ROUNDS]` (512 MiB and 5 rounds).
#![forbid(unsafe_code)]

mod clock;
mod transfer;

use std::error::Error;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{CipherSuite, ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const HOST: &str = "localhost";
const MIB: u64 = 1 << 20;
const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

#[derive(Clone, Copy)]
enum Transport {
    Quic,
    Tls,
}

/// One row of the table: what is measured and the samples taken so far.
struct Cell {
    transport: Transport,
    provider: &'static str,
    suite: SupportedCipherSuite,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    /// Suite that protects QUIC Initial packets; always AES-128-GCM (RFC 9001).
    initial: rustls::quic::Suite,
    /// Throughput of each round, in MiB/s.
    rates: Vec<f64>,
    /// CPU time of all rounds together, in seconds.
    cpu_seconds: f64,
}

fn find_suite(provider: &CryptoProvider, id: CipherSuite) -> Result<SupportedCipherSuite> {
    let found = provider.cipher_suites.iter().find(|s| s.suite() == id);
    Ok(*found.ok_or_else(|| format!("provider lacks {id:?}"))?)
}

/// Client and server configurations that can only agree on `suite`; the client
/// verifies the server against `cert` as its only root.
fn tls_configs(
    provider: CryptoProvider,
    suite: SupportedCipherSuite,
    cert: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Result<(ClientConfig, ServerConfig)> {
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..provider });
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone())?;
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key.clone_key())?;
    Ok((client, server))
}

/// All rows, the two providers next to each other so that they are compared
/// under the same conditions.
fn build_cells() -> Result<Vec<Cell>> {
    let issued = rcgen::generate_simple_self_signed([HOST.to_string()])?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let mut cells = Vec::new();
    for transport in [Transport::Quic, Transport::Tls] {
        for id in SUITES {
            let providers =
                [("aws-lc-rs", aws_lc_rs::default_provider()), ("ring", ring::default_provider())];
            for (name, provider) in providers {
                let suite = find_suite(&provider, id)?;
                let initial = find_suite(&provider, CipherSuite::TLS13_AES_128_GCM_SHA256)?
                    .tls13()
                    .and_then(|s| s.quic_suite())
                    .ok_or("no QUIC initial suite")?;
                let (client, server) = tls_configs(provider, suite, issued.cert.der(), &key)?;
                cells.push(Cell {
                    transport,
                    provider: name,
                    suite,
                    client: Arc::new(client),
                    server: Arc::new(server),
                    initial,
                    rates: Vec::new(),
                    cpu_seconds: 0.0,
                });
            }
        }
    }
    Ok(cells)
}

/// Takes one sample of every cell per round, in turns forward and backward, so
/// that noise and drift hit all cells alike. A smaller first pass warms up.
async fn measure(cells: &mut [Cell], mib: u64, rounds: u32) -> Result<()> {
    for cell in cells.iter() {
        transfer::run(cell, (mib / 8 + 1) * MIB).await?;
    }
    for _ in 0..rounds {
        for cell in cells.iter_mut() {
            let (wall, cpu) = transfer::run(cell, mib * MIB).await?;
            cell.rates.push(mib as f64 / wall);
            cell.cpu_seconds += cpu;
        }
        cells.reverse();
    }
    Ok(())
}

/// Prints the Markdown table of all cells.
fn print_table(cells: &mut [Cell], mib: u64) {
    println!("| transport | suite | provider | median MiB/s | min-max MiB/s | CPU s/GiB |");
    println!("|---|---|---|---:|---:|---:|");
    for cell in cells {
        cell.rates.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (cell.rates.first(), cell.rates.last()) else { continue };
        let transport = match cell.transport {
            Transport::Quic => "QUIC",
            Transport::Tls => "TLS",
        };
        let suite = format!("{:?}", cell.suite.suite());
        let gib = (mib * cell.rates.len() as u64) as f64 / 1024.0;
        println!(
            "| {transport} | {} | {} | {:.0} | {min:.0}-{max:.0} | {:.2} |",
            suite
                .trim_start_matches("TLS13_")
                .trim_end_matches("_SHA256")
                .trim_end_matches("_SHA384"),
            cell.provider,
            cell.rates[cell.rates.len() / 2],
            cell.cpu_seconds / gib,
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mib: u64 = args.next().map_or(Ok(512), |arg| arg.parse())?;
    let rounds: u32 = args.next().map_or(Ok(5), |arg| arg.parse())?;
    let mut cells = build_cells()?;
    measure(&mut cells, mib, rounds).await?;
    if rounds % 2 == 1 {
        cells.reverse(); // back in table order
    }
    print_table(&mut cells, mib);
    Ok(())
}
