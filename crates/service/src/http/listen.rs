//! Opening the port.
//!
//! `[::]` takes IPv4 as well where the system allows it, and falls back to `0.0.0.0` on machines without IPv6,
//! so the default works everywhere and `localhost` means the same in every client.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::{Error, Result};

/// Listens on `host` (an IP address without brackets, or a name) and `port`; `setting` is named in the error.
pub async fn listen(host: &str, port: u16, setting: &'static str) -> Result<TcpListener> {
    let listener = match TcpListener::bind((host, port)).await {
        Err(error) if host == "::" && lacks_ipv6(&error) => TcpListener::bind(("0.0.0.0", port)).await,
        other => other,
    };
    listener.map_err(|source| {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Error::Listen { address, setting, source }
    })
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let is_family_missing = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    is_family_missing || matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

/// Where a client on this machine reaches the listener: a wildcard becomes `localhost`.
pub fn local_address(listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        Ok(address @ (SocketAddr::V4(_) | SocketAddr::V6(_))) => address.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}
