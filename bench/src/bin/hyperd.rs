//! A server that does nothing but HTTP, by hyper 1 on a current-thread tokio: what a request costs
//! before anything is looked up or stored.
//!
//!   hyperd --listen 127.0.0.1:4001
//!
//! GET gets an answer with the headers and about the body of a key of 64 bytes. Everything else
//! has its body read to the end and is refused with an error of the key space, as a PUT with a
//! wrong `ttl` is. `measure.py http` compares it with a real server that answers the same.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use tokio::net::TcpListener;

const NODE: &[u8] = b"{\"action\":\"get\",\"node\":{\"key\":\"/bench/k0000000\",\"value\":\
    \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\
    \"modifiedIndex\":10002,\"createdIndex\":1002}}";
const ERROR: &[u8] =
    b"{\"errorCode\":202,\"message\":\"The given TTL in POST form is not a number\",\
    \"cause\":\"Set\",\"index\":10002}\n";

const CLUSTER: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
const INDEX: HeaderName = HeaderName::from_static("x-etcd-index");
const RAFT_INDEX: HeaderName = HeaderName::from_static("x-raft-index");
const RAFT_TERM: HeaderName = HeaderName::from_static("x-raft-term");

async fn answer(
    request: Request<Incoming>,
    index: Rc<Cell<u64>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_get = request.method() == Method::GET;
    if !is_get {
        // A client that breaks off gets the answer all the same; nobody is there to read it.
        let _ = request.into_body().collect().await;
        index.set(index.get() + 1);
    }
    let body = Bytes::from_static(if is_get { NODE } else { ERROR });
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = if is_get { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CLUSTER, HeaderValue::from_static("7e27652122e8b2ae"));
    headers.insert(INDEX, HeaderValue::from(index.get()));
    if is_get {
        headers.insert(RAFT_INDEX, HeaderValue::from(index.get()));
        headers.insert(RAFT_TERM, HeaderValue::from(1_u64));
    }
    Ok(response)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let listen = match args.get(1..3) {
        Some([flag, addr]) if flag == "--listen" => addr,
        _ => {
            eprintln!("usage: hyperd --listen ADDR:PORT");
            std::process::exit(2);
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await.expect("the address is free");
        let index = Rc::new(Cell::new(10_002));
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let _ = socket.set_nodelay(true);
            let index = Rc::clone(&index);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(request, Rc::clone(&index)));
                // The end of a connection is no news.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
}
