//! The frame of layers that see both request and answer, as tower has it.

use std::task::{Context, Poll};

use tower::{BoxError, Layer, Service};

use super::{Request, Response, ResponseFuture};

/// The answer of the layers below, still to come.
pub trait Answered: Future<Output = Result<Response, BoxError>> + Send + 'static {}

impl<F: Future<Output = Result<Response, BoxError>> + Send + 'static> Answered for F {}

/// A layer that does something before and after what is below it.
pub trait Around: Clone {
    /// Returns the request. `next` hands it to what is below; not calling it answers at once.
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture;
}

/// The tower layer of `A`.
#[derive(Debug, Clone, Copy)]
pub struct AroundLayer<A>(pub A);

impl<A: Around, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AroundService { around: self.0.clone(), inner }
    }
}

/// The service that has `A` around it.
#[derive(Debug, Clone)]
pub struct AroundService<A, S> {
    around: A,
    inner: S,
}

impl<A, S> Service<Request> for AroundService<A, S>
where
    A: Around,
    S: Service<Request, Response = Response, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = &mut self.inner;
        self.around.around(request, |request| inner.call(request))
    }
}
