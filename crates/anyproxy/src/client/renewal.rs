//! Takes a client's certificate over when it was renewed: short-lived ones are, every day or more often.

use std::convert::Infallible;

use anyproxy_transport::tls::Identity;

use crate::{config::read_bytes, failure::chain, settings::CertificateSettings, watched::Watched};

/// The largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// Shows what the files hold from a minute after they have changed. Tunnels that are up go on. Cancel safe.
pub(super) async fn follow(settings: Option<CertificateSettings>) -> Infallible {
    let Some(settings) = settings else { return std::future::pending().await };
    let files = vec![settings.chain_file.clone(), settings.key_file.clone()];
    let mut watched = Watched::new(files);
    loop {
        watched.changed().await;
        let before = watched.look().await;
        let again = settings.clone();
        let read = tokio::task::spawn_blocking(move || take_over(&again)).await;
        match read {
            Ok(Ok(())) => {
                tracing::info!(
                    "the client's certificate has changed; new connections show the new one"
                );
            }
            // Perhaps only one of certificate and key is there yet, and the other changes it again.
            Ok(Err(error)) => {
                tracing::warn!(error, "the client's certificate has changed, but will not do");
            }
            // It panicked, which is logged.
            Err(_) => {}
        }
        watched.seen = before;
    }
}

fn take_over(settings: &CertificateSettings) -> Result<(), String> {
    let read = |path| read_bytes(path, LARGEST).map_err(|error| chain(&error));
    let pem = read(&settings.chain_file)?;
    let key = zeroize::Zeroizing::new(read(&settings.key_file)?);
    let identity = Identity::from_pem(&pem, &key).map_err(|error| error.to_string())?;
    settings.certificate.set(&identity).map_err(|error| error.to_string())
}
