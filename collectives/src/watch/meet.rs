//! How the processes find each other: who listens where, and who calls whom.
//!
//! A hub listens on a Unix socket in Linux's abstract namespace, so nothing is left behind in a file system; its name follows
//! from the secret. Rank 0 listens on one TCP address besides, if there are other hosts. Who listens stops as soon as all
//! have come. A caller tries again for a while, since a hub may be a moment behind.

use super::node::{Member, Node, Waker};
use super::secret::{HANDSHAKE, accept, call};
use super::wire::{Came, Frame, Link, Reader, Stream};
use crate::failure::host;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// So long a caller tries.
const CALLING: Duration = Duration::from_secs(30);
/// So many callers are heard at a time before they have proved who they are.
const UNKNOWN: usize = 64;

#[cfg(target_os = "linux")]
fn unix_addr(name: &str) -> io::Result<UnixAddr> {
    UnixAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn unix_addr(_: &str) -> io::Result<UnixAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) enum Listener {
    Unix(UnixListener, UnixAddr),
    Tcp(TcpListener, SocketAddr),
}

impl Listener {
    pub(super) fn unix(name: &str) -> io::Result<Listener> {
        let addr = unix_addr(name)?;
        Ok(Listener::Unix(UnixListener::bind_addr(&addr)?, addr))
    }

    /// Any free port of this address.
    pub(super) fn tcp(address: std::net::IpAddr) -> io::Result<(Listener, SocketAddr)> {
        let listener = TcpListener::bind((address, 0))?;
        let addr = listener.local_addr()?;
        Ok((Listener::Tcp(listener, addr), addr))
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Unix(listener, _) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Listener::Tcp(listener, _) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
        }
    }

    /// Makes an `accept` under way return.
    fn waker(&self) -> Waker {
        match self {
            Listener::Unix(_, addr) => {
                let addr = addr.clone();
                Box::new(move || drop(UnixStream::connect_addr(&addr)))
            }
            Listener::Tcp(_, addr) => {
                let addr = *addr;
                Box::new(move || drop(TcpStream::connect_timeout(&addr, Duration::from_secs(1))))
            }
        }
    }
}

/// One caller that has not proved who it is.
struct One(Arc<AtomicUsize>);

impl One {
    fn more(all: &Arc<AtomicUsize>) -> One {
        all.fetch_add(1, Ordering::Relaxed);
        One(all.clone())
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Node {
    /// Takes callers until all have come or the job is over.
    pub(super) fn listen(self: &Arc<Node>, listener: Listener) {
        self.shared().wake.push((matches!(listener, Listener::Tcp(..)), listener.waker()));
        self.thread(move |node| {
            let unknown = Arc::new(AtomicUsize::new(0));
            let others = matches!(listener, Listener::Tcp(..));
            let mut failures = 0;
            while !node.shared().all_came(&node.place, others) {
                match listener.accept() {
                    Ok(stream) => {
                        while unknown.load(Ordering::Relaxed) >= UNKNOWN {
                            std::thread::sleep(Duration::from_millis(10));
                        }
                        let one = One::more(&unknown);
                        node.thread(move |node| {
                            let known = accept(stream, &node.secret);
                            drop(one);
                            if let Ok((rank, link)) = known {
                                node.admit(rank, &Arc::new(link));
                            }
                        });
                    }
                    // No file descriptor is free, say. Those that are not taken in show in the roll-call.
                    Err(_) if failures < 100 => {
                        failures += 1;
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    Err(_) => return,
                }
            }
        });
    }

    /// A rank has called, and knows the secret.
    fn admit(self: &Arc<Node>, rank: u32, link: &Arc<Link>) {
        let mut reader = Reader::new(link);
        let tcp = matches!(link.stream, Stream::Tcp(_));
        if rank >= self.place.size || link.stream.quiet_after(Some(HANDSHAKE)).is_err() {
            return link.leave();
        }
        let Came::Frame(Frame::Here { host, pid }) = reader.next() else { return link.leave() };
        if link.stream.quiet_after(tcp.then_some(self.times.beat)).is_err() {
            return link.leave();
        }
        {
            let mut shared = self.shared();
            if shared.over || rank == self.place.me || shared.members.contains_key(&rank) {
                drop(shared);
                return link.leave();
            }
            shared.down.insert(rank, link.clone());
        }
        self.join(rank, Member { host, pid, via: rank, near: !tcp, fate: None });
        self.serve_down(rank, link, reader);
    }

    /// Calls the process above, and then listens to it.
    pub(super) fn call_up(self: &Arc<Node>, dial: impl Fn() -> io::Result<Stream> + Send + 'static) {
        self.thread(move |node| {
            let (end, mut pause) = (Instant::now() + CALLING, Duration::from_millis(2));
            let link = loop {
                match dial().and_then(|stream| call(stream, &node.secret, node.place.me)) {
                    Ok(link) => break Arc::new(link),
                    Err(_) if node.shared().over || Instant::now() > end => return,
                    Err(_) => std::thread::sleep(pause),
                }
                pause = (2 * pause).min(Duration::from_secs(1));
            };
            if link.send(&Frame::Here { host: host().into(), pid: std::process::id() }) && node.connected(&link) {
                let tcp = matches!(link.stream, Stream::Tcp(_));
                link.stream.quiet_after(tcp.then_some(node.times.beat * 4)).ok();
                node.serve_up(&link);
            } else {
                link.leave();
            }
        });
    }

    /// Whether the job still wants this connection. Those below that came before it are made known.
    fn connected(&self, link: &Arc<Link>) -> bool {
        let joined: Vec<Frame> = {
            let mut shared = self.shared();
            if shared.over {
                return false;
            }
            shared.up = Some(link.clone());
            let known = shared.members.iter();
            known.map(|(&rank, m)| Frame::Joined { rank, host: m.host.clone(), pid: m.pid }).collect()
        };
        for frame in &joined {
            link.send(frame);
        }
        true
    }

    /// Calls the hub of this host.
    pub(super) fn call_hub(self: &Arc<Node>) {
        let name = self.secret.socket_name(self.place.hub);
        self.call_up(move || UnixStream::connect_addr(&unix_addr(&name)?).map(Stream::Unix));
    }

    /// Calls rank 0 on another host.
    pub(super) fn call_first(self: &Arc<Node>, addr: SocketAddr) {
        self.call_up(move || TcpStream::connect_timeout(&addr, HANDSHAKE).map(Stream::Tcp));
    }
}
