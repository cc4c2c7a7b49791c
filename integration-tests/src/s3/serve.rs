//! Connections of the S3 server, which may end in a reset where a request's fate is one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use anyhow::{Error, anyhow};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::service::S3Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::front::Front;

/// How a connection will end, told from inside a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// The connection will be reset; the error makes the server give it up.
    pub(super) fn reset(&self) -> Error {
        self.0.store(true, Ordering::Relaxed);
        anyhow!("the connection is reset on purpose")
    }
}

/// Serves until it is dropped, and all its connections with it.
pub(super) async fn serve(listener: TcpListener, service: S3Service, front: Arc<Front>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // A slow small answer would be a fault that nobody asked for.
                let _ = stream.set_nodelay(true);
                let ending = Ending::default();
                let socket = Socket { stream, ending: ending.clone() };
                let (service, front, tls) = (service.clone(), Arc::clone(&front), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(socket, service, front, ending).await,
                        Some(tls) => {
                            // A client that does not trust us has gone, which is its right.
                            let Ok(socket) = tls.accept(socket).await else { return };
                            connection(socket, service, front, ending).await;
                        }
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: S3Service,
    front: Arc<Front>,
    ending: Ending,
) {
    let answer = service_fn(move |request| {
        let (service, front, ending) = (service.clone(), Arc::clone(&front), ending.clone());
        async move { front.answer(&service, request, &ending).await }
    });
    // However it ended, there is nobody left to tell.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
}

/// A connection that is closed as its [`Ending`] says.
struct Socket {
    stream: TcpStream,
    ending: Ending,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.ending.0.load(Ordering::Relaxed) {
            // Closing it with this set is a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending.0.load(Ordering::Relaxed) {
            // A proper end would come first.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
