//! What readers and writers of a [`Stream`] see: tokio's traits for hyper, [`Side`] for the relay.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyproxy_runtime::Side;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let stream = self.get_mut();
        ready!(stream.poll_chunk(cx))?;
        let allowed = ready!(stream.poll_allowed(cx));
        Poll::Ready(Ok(stream.chunk.get(..allowed).unwrap_or_default()))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let stream = self.get_mut();
        let amount = amount.min(stream.chunk.len());
        stream.chunk.advance(amount);
        if stream.chunk.is_empty() {
            // An empty slice would keep the buffer alive that it was cut from.
            stream.chunk = Bytes::new();
        }
        stream.charge.progressed();
        if let Some(pace) = stream.pace() {
            pace.recv.used(amount);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = available.len().min(buf.remaining());
        buf.put_slice(available.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes).map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().rest_sending();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish().map_err(io::Error::from))
    }
}

impl Side for Stream {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(self).poll_fill_buf(cx)
    }

    fn consume(&mut self, amount: usize) {
        AsyncBufRead::consume(Pin::new(self), amount);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes).map_err(io::Error::from)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.rest_sending();
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish().map_err(io::Error::from))
    }

    fn stop_reading(&mut self, _: &io::Error) {
        self.stop(self.stop_code);
    }
}
