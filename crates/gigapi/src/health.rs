//! `gigapi health`: asks a server's `/health` and answers with the exit code, for images that hold no other client.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

/// Longer than any healthy server takes, shorter than an orchestrator waits.
const PATIENCE: Duration = Duration::from_secs(4);

/// Ask a server whether it runs; exits with 0 if it does.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The server; without it the one on this machine, at HTTP_PORT or 7971.
    url: Option<String>,
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let url = args.url.unwrap_or_else(|| {
        let port = std::env::var("HTTP_PORT").or_else(|_| std::env::var("PORT")).unwrap_or_else(|_| "7971".to_owned());
        format!("http://127.0.0.1:{port}")
    });
    let url = format!("{}/health", url.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let shown = gigapi_service::scrub_url(&url);
    let answer = client.get(&url).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("{shown} does not answer"))?;
    if !answer.status().is_success() {
        bail!("{shown} answers {}", answer.status());
    }
    println!("{}", answer.text().await?.trim_end());
    Ok(ExitCode::SUCCESS)
}
