//! Files that somebody else renews.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How often files are looked at. Renewals come weeks before the end.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// Files, and how they were when they were last read.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) seen: Vec<Option<Stamp>>,
}

/// When a file was changed, and its length; of what a symbolic link points at.
pub(crate) type Stamp = (SystemTime, u64);

impl Watched {
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        let seen = stamps(&files);
        Self { files, seen }
    }

    /// How they are now. It waits off the runtime's threads, because disks may be slow.
    pub(crate) async fn look(&self) -> Vec<Option<Stamp>> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || stamps(&files)).await.unwrap_or_default()
    }

    /// Waits until one is another than before. Cancel safe.
    pub(crate) async fn changed(&self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            if self.look().await != self.seen {
                return;
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &Path| {
        let data = std::fs::metadata(file).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    files.iter().map(|file| stamp(file)).collect()
}
